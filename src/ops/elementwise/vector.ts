/**
 * Arithmetic on short f32 vectors, [pairs] or [tokens]: what objectives are written with. A vector of length 1 stands
 * for all elements, as a state such as epsilon-DPO's beta does; gradients flow only into full-length operands.
 */
import type { HostArray, Op } from '../../autograd/op.ts';
import type { Tape } from '../../autograd/tape.ts';
import { elementCount, type Tensor, temporary, whole } from '../../autograd/tensor.ts';
import type { Recorder } from '../../gpu/program.ts';
import { bitsOf, constantsOnGpu } from '../constants.ts';
import { gridFor, workgroupSize } from '../launch.ts';

/** Codes of kernels/elementwise/vector_unary.wgsl. */
const UNARY = {
  affine: 0,
  logSigmoid: 1,
  softplus: 2,
  relu: 3,
  exp: 4,
  square: 5,
  sigmoid: 6,
  log1mexp: 7,
  sign: 8,
  reciprocal: 9,
} as const;

/** Codes of kernels/elementwise/vector_binary.wgsl. */
const BINARY = { add: 0, subtract: 1, multiply: 2, divide: 3, min: 4, max: 5, greater: 6 } as const;

type UnaryName = keyof typeof UNARY;
type BinaryName = keyof typeof BINARY;

export interface UnaryAttributes {
  readonly function: UnaryName;
  /** affine only: scale x + shift. */
  readonly scale?: number;
  readonly shift?: number;
}

/** y = f(x). */
export const unary: Op<UnaryAttributes> = {
  name: 'vector_unary',

  launch(recorder, [x], attributes) {
    const y = temporary(recorder, attributes.function, x.shape);
    launchUnary(recorder, attributes, { x, y });
    return { outputs: [y] };
  },

  // dx = dy f'(x)
  gradient({ recorder, inputs: [x], attributes, outputGradients: [dy], needs, target }) {
    if (dy === undefined || !needs(0)) return;
    const { tensor, accumulate } = target(0);
    launchUnary(recorder, attributes, { x, y: tensor, dy }, accumulate);
  },

  reference([x], { function: name, scale = 1, shift = 0 }) {
    return [{ shape: x.shape, data: x.data.map((v) => plainUnary(name, v, scale, shift)) }];
  },
};

/** y = f(a, b). */
export const binary: Op<{ readonly function: BinaryName }> = {
  name: 'vector_binary',

  launch(recorder, [a, b], { function: name }) {
    const y = temporary(recorder, name, elementCount(a.shape) >= elementCount(b.shape) ? a.shape : b.shape);
    launchBinary(recorder, name, a, b, y, false);
    return { outputs: [y] };
  },

  // add: da = dy, db = dy;   subtract: db = -dy;   multiply: da = dy b, db = dy a;   divide: da = dy / b
  gradient({
    recorder,
    inputs: [a, b],
    attributes: { function: name },
    outputs: [y],
    outputGradients: [dy],
    needs,
    target,
    pass,
  }) {
    if (dy === undefined) return;
    for (const [i, input] of [a, b].entries()) {
      if (needs(i) && elementCount(input.shape) !== elementCount(y.shape))
        throw new RangeError(`${name}: no gradient flows into a broadcast operand.`);
    }
    if (name === 'add' || name === 'subtract') {
      if (needs(1)) {
        if (name === 'add') pass(1, dy);
        else {
          const { tensor, accumulate } = target(1);
          launchUnary(recorder, { function: 'affine', scale: -1 }, { x: b, y: tensor, dy }, accumulate);
        }
      }
      if (needs(0)) pass(0, dy);
      return;
    }
    if (name !== 'multiply' && name !== 'divide') throw new RangeError(`${name} has no gradient.`);
    if (needs(0)) {
      const { tensor, accumulate } = target(0);
      launchBinary(recorder, name, dy, b, tensor, accumulate);
    }
    if (needs(1)) {
      if (name === 'divide') throw new RangeError('divide: the divisor must be a constant.');
      const { tensor, accumulate } = target(1);
      launchBinary(recorder, 'multiply', dy, a, tensor, accumulate);
    }
  },

  reference([a, b], { function: name }) {
    const longer: HostArray = a.data.length >= b.data.length ? a : b;
    const at = (x: HostArray, i: number) => x.data[Math.min(i, x.data.length - 1)];
    return [{ shape: longer.shape, data: longer.data.map((_, i) => plainBinary(name, at(a, i), at(b, i))) }];
  },
};

/** y = sum_i a_i b_i, [1]; b is a constant such as the weights of a mean. */
export const dot: Op<Readonly<Record<string, never>>> = {
  name: 'vector_dot',

  launch(recorder, [a, b]) {
    const y = temporary(recorder, 'dot', [1]);
    recorder.launch({
      kernel: 'vector_dot',
      conditions: { ACCUMULATE: false },
      bindings: { a: whole(a), b: whole(b), y: whole(y) },
      grid: [1, 1],
    });
    return { outputs: [y] };
  },

  // da = dy b
  gradient({ recorder, inputs: [, b], outputGradients: [dy], needs, target }) {
    if (dy === undefined) return;
    if (needs(1)) throw new RangeError('dot: the weights must be constants.');
    if (!needs(0)) return;
    const { tensor, accumulate } = target(0);
    launchBinary(recorder, 'multiply', b, dy, tensor, accumulate);
  },

  reference([a, b]) {
    return [{ shape: [1], data: Float64Array.of(a.data.reduce((sum, v, i) => sum + v * b.data[i], 0)) }];
  },
};

/** The same operations as functions, so that an objective reads like its formula. */
export interface VectorMath {
  add(a: Tensor, b: Tensor): Tensor;
  subtract(a: Tensor, b: Tensor): Tensor;
  multiply(a: Tensor, b: Tensor): Tensor;
  /** a / b; b is a constant. */
  divide(a: Tensor, b: Tensor): Tensor;
  min(a: Tensor, b: Tensor): Tensor;
  max(a: Tensor, b: Tensor): Tensor;
  /** 1 where a > b, else 0. */
  greater(a: Tensor, b: Tensor): Tensor;
  /** scale x + shift. */
  affine(x: Tensor, scale: number, shift?: number): Tensor;
  logSigmoid(x: Tensor): Tensor;
  softplus(x: Tensor): Tensor;
  relu(x: Tensor): Tensor;
  exp(x: Tensor): Tensor;
  square(x: Tensor): Tensor;
  sigmoid(x: Tensor): Tensor;
  /** log(1 - e^min(x, -1e-6)), flat where clamped. */
  log1mexp(x: Tensor): Tensor;
  sign(x: Tensor): Tensor;
  reciprocal(x: Tensor): Tensor;
  /** sum_i a_i b_i, [1]; b is a constant. */
  dot(a: Tensor, b: Tensor): Tensor;
}

export function vectorMath(tape: Tape): VectorMath {
  const two = (name: BinaryName) => (a: Tensor, b: Tensor) =>
    tape.apply(binary, [a, b], { function: name })[0];
  const one = (name: UnaryName) => (x: Tensor) => tape.apply(unary, [x], { function: name })[0];
  return {
    add: two('add'),
    subtract: two('subtract'),
    multiply: two('multiply'),
    divide: two('divide'),
    min: two('min'),
    max: two('max'),
    greater: two('greater'),
    affine: (x, scale, shift = 0) => tape.apply(unary, [x], { function: 'affine', scale, shift })[0],
    logSigmoid: one('logSigmoid'),
    softplus: one('softplus'),
    relu: one('relu'),
    exp: one('exp'),
    square: one('square'),
    sigmoid: one('sigmoid'),
    log1mexp: one('log1mexp'),
    sign: one('sign'),
    reciprocal: one('reciprocal'),
    dot: (a, b) => tape.apply(dot, [a, b], {})[0],
  };
}

/** y = f(x), or with `dy` y (+)= dy f'(x). */
function launchUnary(
  recorder: Recorder,
  { function: name, scale = 1, shift = 0 }: UnaryAttributes,
  { x, y, dy }: { readonly x: Tensor; readonly y: Tensor; readonly dy?: Tensor },
  accumulate = false,
): void {
  const terms = Uint32Array.of(bitsOf(scale), bitsOf(shift));
  recorder.launch({
    kernel: 'vector_unary',
    conditions: { BACKWARD: dy !== undefined, ACCUMULATE: accumulate },
    constants: { WORKGROUP: workgroupSize(recorder) },
    overrides: { OP: UNARY[name] },
    bindings: { x: whole(x), y: whole(y), dy: dy && whole(dy), terms: constantsOnGpu(recorder.gpu, terms) },
    grid: gridFor(recorder, elementCount(y.shape)),
  });
}

function launchBinary(
  recorder: Recorder,
  name: BinaryName,
  a: Tensor,
  b: Tensor,
  y: Tensor,
  accumulate: boolean,
): void {
  recorder.launch({
    kernel: 'vector_binary',
    conditions: { ACCUMULATE: accumulate },
    constants: { WORKGROUP: workgroupSize(recorder) },
    overrides: { OP: BINARY[name] },
    bindings: { a: whole(a), b: whole(b), y: whole(y) },
    grid: gridFor(recorder, elementCount(y.shape)),
  });
}

function plainUnary(name: UnaryName, x: number, scale: number, shift: number): number {
  switch (name) {
    case 'affine':
      return scale * x + shift;
    case 'logSigmoid':
      return -(Math.max(-x, 0) + Math.log1p(Math.exp(-Math.abs(x))));
    case 'softplus':
      return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
    case 'relu':
      return Math.max(x, 0);
    case 'exp':
      return Math.exp(x);
    case 'square':
      return x * x;
    case 'sigmoid':
      return 1 / (1 + Math.exp(-x));
    case 'log1mexp':
      return Math.log(-Math.expm1(Math.min(x, -1e-6)));
    case 'sign':
      return Math.sign(x);
    case 'reciprocal':
      return 1 / x;
  }
}

function plainBinary(name: BinaryName, a: number, b: number): number {
  switch (name) {
    case 'add':
      return a + b;
    case 'subtract':
      return a - b;
    case 'multiply':
      return a * b;
    case 'divide':
      return a / b;
    case 'min':
      return Math.min(a, b);
    case 'max':
      return Math.max(a, b);
    case 'greater':
      return a > b ? 1 : 0;
  }
}
