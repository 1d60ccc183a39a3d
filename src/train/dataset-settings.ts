/** How a configuration wants its rows read, in the terms of src/data. */
import type { DatasetOptions } from '../data/prepare.ts';
import type { Expects } from '../data/rows.ts';
import type { Needs } from '../objectives/objective.ts';
import { objectiveRegistry } from '../objectives/registry.ts';
import type { TrainConfig } from './config.ts';

const EXPECTED: Readonly<Record<Needs['rows'], Expects>> = {
  pairs: 'paired',
  chosen: 'chosen',
  labels: 'either',
};

export function datasetSettings(
  { data, objective }: TrainConfig,
  needs: Needs,
): Omit<DatasetOptions, 'files' | 'path' | 'tokenizer'> {
  const takesWeights = objectiveRegistry.find(objective.name)?.takesTokenWeights;
  return {
    format: data.format,
    columns: data.columns,
    expects: EXPECTED[needs.rows],
    refusesWeights: takesWeights ? undefined : objective.name,
    maxLength: data.max_length,
    maxPromptLength: data.max_prompt_length,
    truncation: data.truncation,
    lossOn: data.loss_on,
    promptTemplate: data.prompt_template,
    diff: needs.differences,
    limit: data.max_rows,
    onBadRow: data.on_bad_row,
  };
}
