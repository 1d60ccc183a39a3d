/**
 * Reverse-mode differentiation over a tape. Running an op through the tape records its dispatches and, where a gradient
 * may flow, a node; `backward` walks the nodes in reverse and records each op's gradient rule.
 *
 * Since programs are recorded before they run, "freeing" needs no code here: an activation's buffer is lent until the
 * last dispatch that reads it.
 */
import type { Recorder } from '../gpu/program.ts';
import type { GradientContext, GradientTarget, Op } from './op.ts';
import { detach, type Tensor, temporary } from './tensor.ts';

interface Node {
  /** The op and what it was applied to. */
  readonly name: string;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  backward(gradientOf: (output: Tensor) => Tensor | undefined): void;
}

/**
 * A gradient on its way. `owned` says that nobody else will read `tensor`, so that more may be added to it in place;
 * a gradient that was passed to two inputs belongs to neither.
 */
interface Flowing {
  readonly tensor: Tensor;
  owned: boolean;
}

/** Adds `from` to the target, or copies it there; given by the ops, since the tape knows none. */
export type Accumulate = (recorder: Recorder, from: Tensor, target: GradientTarget) => void;

/** Told of every tensor that a tape computes, right after the dispatches that do. */
export type Observe = (name: string, tensor: Tensor) => void;

export class Tape {
  readonly recorder: Recorder;
  readonly #accumulate: Accumulate;
  readonly #observe: Observe | undefined;
  readonly #nodes: Node[] = [];
  readonly #gradients = new Map<Tensor, Flowing>();

  constructor(recorder: Recorder, accumulate: Accumulate, observe?: Observe) {
    this.recorder = recorder;
    this.#accumulate = accumulate;
    this.#observe = observe;
  }

  /** An empty tape that records into the same program. */
  fork(): Tape {
    return new Tape(this.recorder, this.#accumulate, this.#observe);
  }

  /** Runs an op. Its outputs want gradients when one of its inputs does. */
  apply<Attributes>(op: Op<Attributes>, inputs: readonly Tensor[], attributes: Attributes): Tensor[] {
    const launched = op.launch(this.recorder, inputs, attributes);
    const name = `${op.name}(${inputs.map(({ label }) => label).join(', ')})`;
    for (const output of launched.outputs) this.#observe?.(name, output);
    const requiresGrad = inputs.some((t) => t.requiresGrad);
    if (!requiresGrad) return launched.outputs.map(detach);
    const outputs = launched.outputs.map((t) => ({ ...t, requiresGrad: true }));
    this.#nodes.push({
      name,
      inputs,
      outputs,
      backward: () => op.gradient(this.#context(attributes, inputs, outputs, launched.saved ?? [])),
    });
    return outputs;
  }

  /**
   * Runs `block` without keeping its activations; they are computed again when the gradient comes back.
   * Trained leaves used inside accumulate into their own gradients as always.
   */
  recompute(inputs: readonly Tensor[], block: (tape: Tape, inputs: readonly Tensor[]) => Tensor): Tensor {
    const silent = this.fork();
    const output: Tensor = { ...block(silent, inputs.map(detach)), requiresGrad: true };
    this.#nodes.push({
      name: 'recomputed block',
      inputs,
      outputs: [output],
      backward: (gradientOf) => {
        const gradient = gradientOf(output);
        if (gradient === undefined) return;
        const inner = this.fork();
        const leaves = inputs.map((t) => ({ ...t }));
        inner.backward(block(inner, leaves), gradient);
        inputs.forEach((input, i) => {
          const flowing = inner.gradientOf(leaves[i]);
          if (input.requiresGrad && flowing !== undefined)
            this.#flow(input, { tensor: flowing, owned: false });
        });
      },
    });
    return output;
  }

  /**
   * Records the gradients of everything that led to `output`, given the gradient of `output` itself, which is only read.
   * @throws RangeError when nothing that is trained led to `output`.
   */
  backward(output: Tensor, gradient: Tensor): void {
    if (!output.requiresGrad) throw new RangeError(`${output.label} depends on nothing that is trained.`);
    this.recorder.asPart('backward', () => this.#walkBack(output, gradient));
  }

  #walkBack(output: Tensor, gradient: Tensor): void {
    this.#flow(output, { tensor: gradient, owned: false });
    for (const node of this.#nodes.splice(0).reverse()) {
      if (!node.outputs.some((t) => this.#gradients.has(t))) continue;
      node.backward((t) => this.#gradients.get(t)?.tensor);
      for (const t of node.outputs) this.#gradients.delete(t);
      for (const input of node.inputs) {
        const reached = input.gradient ?? this.gradientOf(input);
        if (reached !== undefined) this.#observe?.(`gradient of ${input.label} from ${node.name}`, reached);
      }
    }
  }

  /** The gradient that reached a tensor which no op on this tape produced. */
  gradientOf(tensor: Tensor): Tensor | undefined {
    return this.#gradients.get(tensor)?.tensor;
  }

  #context<Attributes>(
    attributes: Attributes,
    inputs: readonly Tensor[],
    outputs: readonly Tensor[],
    saved: readonly Tensor[],
  ): GradientContext<Attributes> {
    const passed = new Map<Tensor, Flowing>();
    const owned = new Set(
      outputs
        .map((t) => this.#gradients.get(t))
        .filter((f) => f?.owned)
        .map((f) => f?.tensor),
    );
    return {
      recorder: this.recorder,
      attributes,
      inputs,
      outputs,
      saved,
      outputGradients: outputs.map((t) => this.gradientOf(t)),
      needs: (i) => inputs[i].requiresGrad,
      target: (i) => this.#target(inputs[i]),
      pass: (i, gradient) => {
        if (!inputs[i].requiresGrad) return;
        const before = passed.get(gradient);
        if (before !== undefined) before.owned = false;
        const flowing = { tensor: gradient, owned: before === undefined && owned.has(gradient) };
        passed.set(gradient, flowing);
        this.#flow(inputs[i], flowing);
      },
    };
  }

  /** Where the gradient of `tensor` is to be written: its own place if it is a trained leaf, else a temporary. */
  #target(tensor: Tensor): GradientTarget {
    if (tensor.gradient !== undefined) return { tensor: tensor.gradient, accumulate: true };
    const flowing = this.#gradients.get(tensor);
    if (flowing?.owned) return { tensor: flowing.tensor, accumulate: true };
    const fresh = temporary(this.recorder, `d ${tensor.label}`, tensor.shape);
    this.#gradients.set(tensor, { tensor: fresh, owned: true });
    if (flowing === undefined) return { tensor: fresh, accumulate: false };
    this.#accumulate(this.recorder, flowing.tensor, { tensor: fresh, accumulate: false });
    return { tensor: fresh, accumulate: true };
  }

  #flow(tensor: Tensor, flowing: Flowing): void {
    if (tensor.gradient === undefined && !this.#gradients.has(tensor)) this.#gradients.set(tensor, flowing);
    else this.#accumulate(this.recorder, flowing.tensor, this.#target(tensor));
  }
}
