/** The rows of a run, read as its configuration wants them. */
import { loadRunData } from '../data/dataset.ts';
import type { Example } from '../data/examples.ts';
import type { DroppedRow } from '../data/prepare.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { InputError } from '../errors.ts';
import type { ModelConfig } from '../models/causal-lm.ts';
import type { Needs } from '../objectives/objective.ts';
import type { FileSystem } from '../runtime/runtime.ts';
import type { TrainConfig } from './config.ts';
import { datasetSettings } from './dataset-settings.ts';
import { variedLine } from './varied-tokens.ts';

/** @param note told what became of the rows. @throws InputError when no row is left */
export async function loadData(
  files: FileSystem,
  config: TrainConfig,
  needs: Needs,
  tokenizer: Tokenizer,
  model: ModelConfig,
  note: (line: string) => void,
): Promise<{ train: Example[]; eval: Example[] }> {
  const { data } = config;
  if (data.max_length > model.maxPositions) {
    throw new InputError(
      `data.max_length: ${data.max_length} is more than the ${model.maxPositions} positions of ${config.model.path}.`,
    );
  }
  const dropped: DroppedRow[] = [];
  const loaded = await loadRunData({
    ...datasetSettings(config, needs),
    files,
    tokenizer,
    modelVocabSize: model.vocabSize,
    train: data.train,
    eval: data.eval,
    evalFraction: data.eval_fraction,
    shuffle: data.shuffle,
    seed: config.seed,
    note,
    onDropped: (row) => dropped.push(row),
  });
  if (dropped.length > 0) {
    const path = `${config.output_dir}/dropped_rows.jsonl`;
    const sink = await files.create(path);
    await sink.write(dropped.map((row) => `${JSON.stringify(row)}\n`).join(''));
    await sink.close();
    note(`${dropped.length} rows are left out; ${path} says which and why.`);
  }
  const varied = variedLine(loaded.train);
  if (varied !== undefined) note(varied);
  return loaded;
}
