/**
 * A reference that follows the policy (TR-DPO): every so many steps its weights move towards the f32 masters. Where ranks hold
 * the masters between them, these go around a piece at a time, and every rank moves the whole of its reference.
 */
import { type Tensor, whole } from '../autograd/tensor.ts';
import type { Workspace } from '../autograd/workspace.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Program } from '../gpu/program.ts';
import { PIECE_BYTES } from '../gpu/staging.ts';
import type { ParameterSlabs } from '../nn/parameters.ts';
import { isShared, readShared, type SharedPart, type SharedTensor, sliceOf } from '../nn/shares.ts';
import { recordReferenceUpdate } from '../ops/optimizer/reference-update.ts';

/** Of a master that ranks hold between them. */
interface Piece {
  readonly part: SharedPart;
  readonly start: number;
  readonly count: number;
  /** Moves the reference towards what `#gathered` holds. */
  readonly program: Program;
}

export class MovingReference {
  readonly #gpu: Gpu;
  readonly #ofWhole: Program;
  /** f32, as long as the longest piece. */
  readonly #gathered: Tensor;
  readonly #pieces: readonly Piece[];

  /**
   * Plans into the workspace.
   * @param reference f32 weights by the names of the parameters; one that is not trained is the same in both
   * @param update.share of the policy in the new reference
   * @param update.norm f32 [4]: nothing moves unless the gradient was finite
   */
  constructor(
    workspace: Workspace,
    trained: ParameterSlabs,
    reference: ReadonlyMap<string, Tensor>,
    update: { readonly share: number; readonly norm: Tensor },
  ) {
    this.#gpu = workspace.gpu;
    const followers = [...reference].flatMap(([name, tensor]) => {
      const master = trained.parameters.get(name)?.held;
      return master === undefined ? [] : [{ master, tensor }];
    });
    const move = (label: string, moves: readonly { readonly master: Tensor; readonly tensor: Tensor }[]) =>
      workspace.program(label, (recorder) =>
        recorder.asPart('optimizer', () => {
          for (const { master, tensor } of moves) recordReferenceUpdate(recorder, master, tensor, update);
        }),
      );
    this.#ofWhole = move(
      'reference update',
      followers.flatMap(({ master, tensor }) => (isShared(master) ? [] : [{ master, tensor }])),
    );
    const shared = followers.flatMap(({ master, tensor }) => (isShared(master) ? cut(master, tensor) : []));
    const longest = Math.max(4, ...shared.map(({ count }) => count));
    this.#gathered = workspace.tensor('masters of all ranks, a piece', [longest], 'f32', 'optimizer');
    this.#pieces = shared.map(({ part, start, count, tensor }) => {
      const master = sliceOf(this.#gathered, { start: 0, length: count });
      return { part, start, count, program: move('reference update, a piece', [{ master, tensor }]) };
    });
  }

  /** Every rank must call it. */
  async update(): Promise<void> {
    this.#ofWhole.run();
    for (const { part, start, count, program } of this.#pieces) {
      this.#gpu.write(whole(this.#gathered), await readShared(this.#gpu, part, start, count));
      program.run();
    }
  }
}

/** A master and the weights that follow it, which lie in the same runs of rows. */
function cut({ parts }: SharedTensor, tensor: Tensor) {
  const most = PIECE_BYTES / 4;
  return parts.flatMap((part, i) =>
    Array.from({ length: Math.ceil(part.count / most) }, (_, n) => {
      const start = n * most;
      const count = Math.min(most, part.count - start);
      const run = { ...tensor, shards: [tensor.shards[i]] };
      return { part, start, count, tensor: sliceOf(run, { start, length: count }) };
    }),
  );
}
