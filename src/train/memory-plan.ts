/** What a run does to fit into its memory: which activations it computes again, and where the optimizer's moments are. */
import { InputError } from '../errors.ts';
import { formatBytes } from '../gpu/memory.ts';

export interface MemoryPlan {
  /** So many blocks, from the first, compute their activations again in the backward pass. */
  readonly recomputedBlocks: number;
  /** Where the optimizer's moments are kept. */
  readonly moments: 'gpu' | 'host';
}

/** The keys of `training` that decide. */
export interface MemorySettings {
  /** Bytes. */
  readonly memory_budget?: number;
  readonly gradient_checkpointing: boolean;
  readonly offload_optimizer: boolean;
}

/**
 * Within a budget: as few recomputed blocks as fit and, where all of them are not enough, the moments in host memory and
 * again as few blocks as fit. Without one, the other two keys decide.
 * @param bytesOf - the peak that is predicted for a plan
 * @throws InputError when nothing fits.
 */
export function memoryPlanFor(
  settings: MemorySettings,
  layers: number,
  bytesOf: (plan: MemoryPlan) => number,
): MemoryPlan {
  const { memory_budget: budget, gradient_checkpointing, offload_optimizer } = settings;
  if (budget === undefined)
    return {
      recomputedBlocks: gradient_checkpointing ? layers : 0,
      moments: offload_optimizer ? 'host' : 'gpu',
    };
  const fits = (plan: MemoryPlan) => bytesOf(plan) <= budget;
  for (const moments of offload_optimizer ? (['host'] as const) : (['gpu', 'host'] as const)) {
    if (!fits({ recomputedBlocks: layers, moments })) continue;
    let [tooFew, enough] = [-1, layers];
    while (enough - tooFew > 1) {
      const middle = (tooFew + enough) >> 1;
      if (fits({ recomputedBlocks: middle, moments })) enough = middle;
      else tooFew = middle;
    }
    return { recomputedBlocks: enough, moments };
  }
  throw new InputError(
    `training.memory_budget: ${formatBytes(budget)} is too little. With every block recomputed and the optimizer's moments ` +
      `in host memory the run takes ${formatBytes(bytesOf({ recomputedBlocks: layers, moments: 'host' }))}; ` +
      'lower training.max_tokens_per_micro_batch or use LoRA.',
  );
}
