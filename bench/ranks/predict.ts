/**
 * What a step would take on many cards, from the bytes that a step was measured to exchange per trained weight and from stated
 * bandwidths. With n ranks, B bytes of gradients, W bytes of weights that products read, and b the slowest link of the ring:
 *
 *   sums      max(B / PCIe, 2 (n - 1)/n B / b)        hidden behind the backward pass of all layers but the last
 *   weights   max(W / PCIe, (n - 1)/n W / b)          full fine-tuning alone, and not hidden
 *   step      compute + sums that are not hidden + weights
 */

/** Bytes per second, and operations per second of a card in matrix products. */
export const STATED = {
  /** PCIe 4.0 x16, each way. */
  pcie: 25e9,
  /** Between the ranks of a machine, through its memory. */
  memory: 10e9,
  /** Between machines: 200 Gbit/s. */
  network: 25e9,
  compute: 150e12,
} as const;

export const TOKENS_PER_CARD = 8192;

export interface Predicted {
  readonly model: string;
  readonly mode: 'full' | 'lora';
  readonly cards: string;
  readonly bytes: number;
  readonly computeMs: number;
  readonly exchangeMs: number;
  readonly hidden: number;
  readonly stepMs: number;
  /** Share of the step that is compute: 1 scales perfectly. */
  readonly efficiency: number;
}

/** Trained weights of LoRA: r = 16 on every linear layer. */
const MODELS = [
  { model: '1B', weights: 1.24e9, lora: 11.27e6, layers: 16 },
  { model: '8B', weights: 8.03e9, lora: 41.94e6, layers: 32 },
] as const;

/** @param sumBytes measured bytes of gradients per trained weight */
export function predictions(sumBytes: number): Predicted[] {
  return MODELS.flatMap(({ model, weights, lora, layers }) =>
    (['lora', 'full'] as const).flatMap((mode) =>
      [1, 8].map((machines): Predicted => {
        const n = 8 * machines;
        const link = machines > 1 ? Math.min(STATED.network, STATED.memory) : STATED.memory;
        const gradients = sumBytes * (mode === 'full' ? weights : lora);
        // 16-bit copies.
        const gathered = mode === 'full' ? 2 * weights : 0;
        const sums = Math.max(gradients / STATED.pcie, (2 * (n - 1) * gradients) / n / link);
        const gather = Math.max(gathered / STATED.pcie, ((n - 1) * gathered) / n / link);
        // A product costs 2 operations per weight and token forward, 2 for inputs and, where weights are trained, 2 for them.
        const pass = (2 * weights * TOKENS_PER_CARD) / STATED.compute;
        const backward = mode === 'full' ? 2 * pass : pass;
        const hiddenSeconds = Math.min(sums, (backward * (layers - 1)) / layers);
        const compute = pass + backward;
        const step = compute + sums - hiddenSeconds + gather;
        return {
          model,
          mode,
          cards: `8 x ${machines}`,
          bytes: gradients + gathered,
          computeMs: 1000 * compute,
          exchangeMs: 1000 * (sums + gather),
          hidden: hiddenSeconds / (sums + gather),
          stepMs: 1000 * step,
          efficiency: compute / step,
        };
      }),
    ),
  );
}
