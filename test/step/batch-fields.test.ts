/** What goes to the GPU with a batch is what the forward pass and the objective in use read, and no more. */
import { describe, expect, it } from 'vitest';
import { Workspace } from '../../src/autograd/workspace.ts';
import { activate } from '../../src/objectives/choice.ts';
import { objectives } from '../../src/objectives/registry.ts';
import {
  BatchTensors,
  type FieldName,
  FORWARD_FIELDS,
  objectiveFields,
} from '../../src/step/batch-tensors.ts';
import { testGpu } from '../support/gpu.ts';

const COMMON: readonly FieldName[] = [
  'chosen',
  'rejected',
  'chosenLengths',
  'rejectedLengths',
  'pairWeights',
];
const MORE: Readonly<Record<string, readonly FieldName[]>> = {
  sft: ['likelihoodWeights'],
  cpo: ['likelihoodWeights'],
  orpo: ['likelihoodWeights'],
  kto: ['desirable', 'undesirable', 'mismatched', 'mismatchedLengths'],
  'beta-dpo': ['gumbels'],
  figa: ['diff'],
};

describe('the fields of a batch', () => {
  it.each(objectives.map(({ name }) => name))('%s', (name) => {
    expect(objectiveFields(activate({ name }).needs)).toEqual([...COMMON, ...(MORE[name] ?? [])]);
  });

  it('grow by what settings and token weights ask for', () => {
    const fields = (choice: Parameters<typeof activate>[0]) => objectiveFields(activate(choice).needs);
    expect(fields({ name: 'simpo', settings: { sft_weight: 0.1 } })).toContain('likelihoodWeights');
    expect(fields({ name: 'dpo', bmc: {} })).toContain('diff');
    expect(fields({ name: 'dpo', dataWeights: true })).toContain('weights');
  });

  it('are all that a batch has: another one is a mistake of the caller', async () => {
    const workspace = new Workspace(await testGpu());
    const batch = new BatchTensors(workspace, { tokens: 16, rows: 8, pairs: 2 }, FORWARD_FIELDS);
    expect(batch.get('targets').shape).toEqual([8]);
    expect(() => batch.get('diff')).toThrow('The batch was made without diff.');
    workspace.free();
  });
});
