/**
 * The checks that every op passes: against its own plain reference in f64 and central finite differences of it, and
 * against what PyTorch computed.
 *
 * Ops run as they are used in training: with inputs that are trained leaves, whose gradient is added to (twice, and the
 * bits must be the same), and in checkOp also with inputs whose gradient is a temporary to be overwritten.
 */
import type { HostArray, Op } from '../../src/autograd/op.ts';
import { allocateTensor, elementCount, type Tensor, upload } from '../../src/autograd/tensor.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { tapeFor } from '../../src/ops/index.ts';
import { expectClose, expectSameBits } from './close.ts';
import type { OpFixture } from './fixtures.ts';
import { record } from './record.ts';
import { gridValues, type HostTensor, Workbench } from './workbench.ts';

export interface OpCase<Attributes> {
  readonly op: Op<Attributes>;
  readonly inputs: readonly HostTensor[];
  /** Makes the attributes; index tensors come from the workbench. */
  attributes(bench: Workbench): Attributes;
  /** Inputs to differentiate. Default: all. */
  readonly differentiate?: readonly number[];
  /** For ops whose gradient only ever goes to a trained leaf. */
  readonly leavesOnly?: boolean;
  /** Default 1e-5. */
  readonly tolerance?: number;
}

/** What leaves hold before the gradient is added. */
const HELD = 0.5;

interface OpRun {
  readonly outputs: readonly Float32Array[];
  /** By input; undefined where none was asked for. */
  readonly gradients: readonly (Float32Array | undefined)[];
}

/**
 * Runs an op forward, and backward from the gradient of its first output.
 * @param place 'inner' gives gradients as they are, 'leaf' what a trained leaf holds that held HELD everywhere before.
 */
export async function runOp<Attributes>(
  bench: Workbench,
  op: Op<Attributes>,
  inputs: readonly HostTensor[],
  attributes: Attributes,
  place: 'inner' | 'leaf',
  differentiate: readonly number[],
  outputGradient: HostTensor | undefined,
): Promise<OpRun> {
  const { gpu } = bench;
  const leaves = inputs.map((input, i): Tensor => {
    const tensor = bench.floats(`${op.name} input ${i}`, input);
    if (!differentiate.includes(i)) return tensor;
    if (place === 'inner') return { ...tensor, requiresGrad: true };
    const gradient = allocateTensor(gpu, `${op.name} gradient ${i}`, input.shape, 'f32', 'gradients');
    bench.adopt(gradient);
    upload(gpu, gradient, new Float32Array(elementCount(input.shape)).fill(HELD));
    return { ...tensor, requiresGrad: true, gradient };
  });
  const dy = outputGradient && bench.floats('output gradient', outputGradient);
  let outputCount = 0;
  const values = await record(gpu, (recorder) => {
    const tape = tapeFor(recorder);
    const outputs = tape.apply(op, leaves, attributes);
    outputCount = outputs.length;
    if (dy === undefined) return outputs;
    tape.backward(outputs[0], dy);
    const gradients = differentiate.map((i) => leaves[i].gradient ?? tape.gradientOf(leaves[i]));
    return [...outputs, ...gradients.filter((g) => g !== undefined)];
  });
  const gradients: (Float32Array | undefined)[] = inputs.map(() => undefined);
  if (dy !== undefined) {
    differentiate.forEach((i, n) => {
      gradients[i] = values[outputCount + n];
    });
  }
  return { outputs: values.slice(0, outputCount), gradients };
}

/** Checks outputs and gradients against given values. */
async function checkAgainst<Attributes>(
  bench: Workbench,
  c: OpCase<Attributes>,
  attributes: Attributes,
  outputs: readonly (ArrayLike<number> | undefined)[],
  outputGradient: HostTensor | undefined,
  gradients: readonly (ArrayLike<number> | undefined)[],
  leavesOnly: boolean,
): Promise<void> {
  const { op, inputs, tolerance = 1e-5 } = c;
  const wanted = inputs.map((_, i) => i).filter((i) => gradients[i] !== undefined);
  const run = (place: 'inner' | 'leaf') =>
    runOp(bench, op, inputs, attributes, place, wanted, wanted.length === 0 ? undefined : outputGradient);
  const check = (result: OpRun, place: 'inner' | 'leaf') => {
    outputs.forEach((expected, i) => {
      if (expected !== undefined)
        expectClose(result.outputs[i], expected, tolerance, `${op.name} output ${i}`);
    });
    for (const i of wanted) {
      const held = place === 'leaf' ? HELD : 0;
      const expected = Float64Array.from(gradients[i] ?? [], (g) => g + held);
      const label = `${op.name} gradient ${i} (${place})`;
      expectClose(result.gradients[i] ?? [], expected, tolerance, label, inputs[i].shape);
    }
  };
  if (!leavesOnly) check(await run('inner'), 'inner');
  const first = await run('leaf');
  check(first, 'leaf');
  const second = await run('leaf');
  first.outputs.forEach((values, i) => {
    expectSameBits(second.outputs[i], values, `${op.name} output ${i}, run again`);
  });
  for (const i of wanted) {
    expectSameBits(
      second.gradients[i] ?? new Float32Array(),
      first.gradients[i] ?? new Float32Array(),
      `${op.name} gradient ${i}, run again`,
    );
  }
}

/**
 * Checks the kernels of an op against its plain reference: outputs, and for random weights of the first output every
 * element of every gradient against central finite differences in f64. Meant for some hundreds of elements.
 */
export async function checkOp<Attributes>(gpu: Gpu, c: OpCase<Attributes>): Promise<void> {
  const bench = new Workbench(gpu);
  try {
    const attributes = c.attributes(bench);
    const hosts = c.inputs.map(({ shape, data }): HostArray => ({ shape, data: Float64Array.from(data) }));
    const evaluate = () => c.op.reference(hosts, attributes, bench.index);
    const outputs = evaluate();
    const weights = gridValues(101, outputs[0].shape);
    const wanted = c.differentiate ?? hosts.map((_, i) => i);
    const gradients = hosts.map(({ data }, i) =>
      wanted.includes(i) ? finiteDifferences(data, () => inner(evaluate()[0].data, weights.data)) : undefined,
    );
    const expected = outputs.map(({ data }) => data);
    await checkAgainst(bench, c, attributes, expected, weights, gradients, c.leavesOnly ?? false);
  } finally {
    bench.free();
  }
}

/**
 * The same for large tensors: outputs against the plain reference, gradients along random directions against central
 * differences of it. Costs two evaluations of the reference per direction.
 */
export async function checkDirections<Attributes>(
  gpu: Gpu,
  c: OpCase<Attributes>,
  directions: number,
): Promise<void> {
  const bench = new Workbench(gpu);
  try {
    const { op, inputs, tolerance = 1e-5 } = c;
    const attributes = c.attributes(bench);
    const starts = inputs.map(({ data }) => Float64Array.from(data));
    const evaluate = (data: readonly Float64Array[]) =>
      op.reference(
        data.map((values, i) => ({ shape: inputs[i].shape, data: values })),
        attributes,
        bench.index,
      )[0];
    const expected = evaluate(starts);
    const weights = gridValues(101, expected.shape);
    const wanted = c.differentiate ?? inputs.map((_, i) => i);
    const run = await runOp(bench, op, inputs, attributes, 'inner', wanted, weights);
    expectClose(run.outputs[0], expected.data, tolerance, `${op.name} output`, expected.shape);
    for (let n = 0; n < directions; n++) {
      for (const i of wanted) {
        const direction = gridValues(1000 + 10 * n + i, inputs[i].shape).data;
        const step = 1e-5;
        const [above, below] = [step, -step].map((h) => {
          const moved = starts.map((x, k) => (k === i ? x.map((v, e) => v + h * direction[e]) : x));
          return inner(evaluate(moved).data, weights.data);
        });
        const slope = inner(run.gradients[i] ?? [], direction);
        const label = `${op.name} gradient ${i} along direction ${n}`;
        expectClose([slope], [(above - below) / (2 * step)], tolerance, label);
      }
    }
  } finally {
    bench.free();
  }
}

/** Checks the kernels of an op against a PyTorch case. The case's own tensors are named in the op's order of inputs. */
export async function checkFixture<Attributes>(
  gpu: Gpu,
  fixture: OpFixture,
  inputs: readonly string[],
  outputs: readonly string[],
  c: Omit<OpCase<Attributes>, 'inputs' | 'differentiate' | 'leavesOnly'> & {
    /** Shape in which an input is handed to the op, where the fixture has it with more dimensions. */
    reshape?(shape: readonly number[], name: string): readonly number[];
    readonly dtypes?: Readonly<Record<string, HostTensor['dtype']>>;
    /** Inputs that get no gradient, although the fixture has one. */
    readonly frozen?: readonly string[];
  },
): Promise<void> {
  const bench = new Workbench(gpu);
  try {
    const shaped = (name: string, { shape, data }: HostTensor): HostTensor => ({
      shape: c.reshape?.(shape, name) ?? shape,
      data,
      dtype: c.dtypes?.[name],
    });
    const dy = fixture.grad_outputs?.[outputs[0]];
    await checkAgainst(
      bench,
      {
        ...c,
        inputs: inputs.map((name) => shaped(name, fixture.inputs[name])),
        differentiate: inputs.flatMap((name, i) => (c.frozen?.includes(name) ? [] : [i])),
      },
      c.attributes(bench),
      outputs.map((name) => fixture.outputs[name].data),
      dy && shaped(outputs[0], dy),
      inputs.map((name) => (c.frozen?.includes(name) ? undefined : fixture.grad_inputs?.[name]?.data)),
      true,
    );
  } finally {
    bench.free();
  }
}

/** df/dx of a scalar function of `x`, which is moved in place. */
function finiteDifferences(x: Float64Array, f: () => number): Float64Array {
  return x.map((value, i) => {
    const step = 1e-5 * Math.max(1, Math.abs(value));
    x[i] = value + step;
    const above = f();
    x[i] = value - step;
    const below = f();
    x[i] = value;
    return (above - below) / (2 * step);
  });
}

function inner(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
