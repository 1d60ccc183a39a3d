/** The rows of a run, read as its configuration wants them. */
import type { Example } from '../data/examples.ts';
import { type DatasetOptions, prepareDataset } from '../data/prepare.ts';
import type { Expects } from '../data/rows.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { InputError } from '../errors.ts';
import type { ModelConfig } from '../models/causal-lm.ts';
import type { Needs } from '../objectives/objective.ts';
import type { FileSystem } from '../runtime/runtime.ts';
import type { TrainConfig } from './config.ts';
import { variedLine } from './varied-tokens.ts';

const EXPECTED: Readonly<Record<Needs['rows'], Expects>> = {
  pairs: 'paired',
  chosen: 'paired',
  labels: 'either',
};

/** How a configuration wants its rows read, in the terms of src/data. */
export function datasetSettings(
  { data }: TrainConfig,
  needs: Needs,
): Omit<DatasetOptions, 'files' | 'path' | 'tokenizer'> {
  return {
    format: data.format,
    columns: data.columns,
    expects: EXPECTED[needs.rows],
    maxLength: data.max_length,
    truncation: data.truncation,
    diff: needs.differences,
    limit: data.max_rows,
  };
}

/** @param note told what became of the rows. @throws InputError when no row of a file is left */
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
  const settings = { ...datasetSettings(config, needs), files, tokenizer, modelVocabSize: model.vocabSize };
  const load = async (path: string): Promise<Example[]> => {
    const { examples, report } = await prepareDataset({ ...settings, path });
    const { kept, rows, identical, tooLong, truncated } = report;
    const dropped =
      identical + tooLong > 0 ? `, ${identical} dropped as identical, ${tooLong} as too long` : '';
    note(`${path}: ${kept} of ${rows} rows${dropped}, ${truncated} truncated.`);
    if (examples.length === 0) throw new InputError(`${path}: no row is left to train on.`);
    return examples;
  };
  const train = await load(data.train);
  const varied = variedLine(train);
  if (varied !== undefined) note(varied);
  return { train, eval: data.eval === undefined ? [] : await load(data.eval) };
}
