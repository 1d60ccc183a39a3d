/** Token weights that stand in the rows: DPO(EW), where an annotator or another model has marked what matters. */
import { z } from 'zod';
import { given } from '../shared.ts';
import { defineTokenWeight } from './token-weight.ts';

export const dataWeights = defineTokenWeight({
  name: 'data',
  formula: 'lambda_t as the rows give it (chosen_weights, rejected_weights), else 1',
  paper: 'DPO(EW), a baseline of BMC',
  settings: z.strictObject({}),
  needs: () => ({ dataWeights: true }),
  weights: (_recorder, inputs) => ({ weights: given(inputs.dataWeights, 'token weights of the data') }),
});
