/** run.json: what a run was asked for and what came of it, which `prefgrad analyze` and `prefgrad report` read. */
import type { FileSystem } from '../runtime/runtime.ts';
import type { TrainConfig } from './config.ts';
import type { RunSummary } from './hooks.ts';

export const RUN_FILE = 'run.json';

/** Written when a run ends; one that is resumed replaces that of its first part. */
export async function writeRunFile(
  files: FileSystem,
  config: TrainConfig,
  device: string,
  summary: RunSummary,
): Promise<void> {
  const { outcome, step, seconds, predictedPeakBytes, peakBytes, before, after, samples } = summary;
  const facts = {
    outcome,
    step,
    seconds,
    device,
    predicted_peak_bytes: predictedPeakBytes,
    peak_bytes: peakBytes,
    before,
    after,
    samples,
    config,
  };
  const sink = await files.create(`${config.output_dir}/${RUN_FILE}`);
  await sink.write(`${JSON.stringify(facts, null, 2)}\n`);
  await sink.close();
}
