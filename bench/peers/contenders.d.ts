/** Types of contenders.js, whose libraries are installed apart from prefgrad's. */

export interface Work {
  /** x [T, H], w [V, H], both f32 row-major. */
  readonly x: Float32Array<ArrayBuffer>;
  readonly w: Float32Array<ArrayBuffer>;
  readonly T: number;
  readonly H: number;
  readonly V: number;
  /** [T]. */
  readonly targets: Int32Array<ArrayBuffer>;
}

/** Puts the operands on the GPU; the function it gives does the work once and reads the result back. */
type Preparation = (work: Work) => Promise<() => Promise<ArrayLike<number>>>;

/** Gives the numbers that are compared: x wᵀ [T, V], log-probs [T], or d(sum of log-probs)/dx [T, H]. */
export interface Peer {
  readonly name: string;
  readonly matmul?: Preparation;
  readonly logps?: Preparation;
  readonly gradient?: Preparation;
}

export function jax(): Promise<Peer>;
export function tensorflow(): Promise<Peer>;
export function gpujs(): Promise<Peer>;
