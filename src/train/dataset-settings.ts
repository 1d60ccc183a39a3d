/** How a configuration wants its rows read, in the terms of src/data. */
import type { DatasetOptions } from '../data/prepare.ts';
import type { Expects } from '../data/rows.ts';
import type { Needs } from '../objectives/objective.ts';
import type { TrainConfig } from './config.ts';

const EXPECTED: Readonly<Record<Needs['rows'], Expects>> = {
  pairs: 'paired',
  chosen: 'chosen',
  labels: 'either',
};

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
    lossOn: data.loss_on,
    diff: needs.differences,
    limit: data.max_rows,
  };
}
