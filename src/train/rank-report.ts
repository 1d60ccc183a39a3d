/** What each rank of a run took, for its summary. */

import type { Gpu } from '../gpu/device.ts';
import { gatherValues } from '../runtime/ranks.ts';
import type { Trainer } from './trainer.ts';

export interface RankReport {
  readonly host: string;
  /** The device's name and driver as the driver gives them. */
  readonly device: string;
  /** GPU memory: what was foreseen, and held at most so far. */
  readonly predictedPeakBytes: number;
  readonly peakBytes: number;
  /** Tokens that it computed in the steps that this process took. */
  readonly tokens: number;
}

/** Of every rank; undefined in a process of its own. @param firstStep - steps that were done before this process began */
export async function rankReports(
  gpu: Gpu,
  trainer: Trainer,
  predictedPeakBytes: number,
  firstStep: number,
): Promise<RankReport[] | undefined> {
  const { ranks } = gpu.runtime;
  if (ranks.size === 1) return undefined;
  let tokens = 0;
  for (let step = firstStep; step < trainer.step; step++)
    for (const batch of trainer.plan.microBatchesOf(step)) tokens += trainer.plan.shapeOf(batch).tokens;
  const { host } = ranks.place;
  const device = `${gpu.deviceName} (${gpu.driver})`;
  return gatherValues(ranks, { host, device, predictedPeakBytes, peakBytes: gpu.memory.peak, tokens });
}
