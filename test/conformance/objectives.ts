/** Every objective against PyTorch's values, through the graph that training runs. */
import { evaluateCase } from '../../src/cases/result.ts';
import { expectCase, type Golden } from '../cases/golden-case.ts';
import { type ConformanceCase, readFixture } from './case.ts';

const PATH = 'test/fixtures/golden/golden.json';

/** Golden cases by name; the fixture must have no other, so that none is left out. */
const NAMES = [
  'dpo ipo simpo kto orpo rdpo cpo rrhf slic beta_dpo figa mipo epsilon_dpo sft',
  'dpo_bmc ipo_bmc orpo_bmc rdpo_bmc simpo_bmc',
]
  .join(' ')
  .split(' ');

export const objectiveCases: readonly ConformanceCase[] = [
  ...NAMES.map(
    (name): ConformanceCase => ({
      group: 'objectives',
      name,
      async run(context) {
        const { batch, cases } = await readFixture<Golden>(context, PATH);
        const own = cases.filter((c) => c.name === name);
        if (own.length === 0) throw new Error(`${PATH} has no case of ${name}.`);
        for (const expected of own)
          expectCase(await evaluateCase(context.gpu, batch.pairs, expected), expected);
      },
    }),
  ),
  {
    group: 'objectives',
    name: 'the list is complete',
    async run(context) {
      const { cases } = await readFixture<Golden>(context, PATH);
      const missing = cases.map((c) => c.name).filter((name) => !NAMES.includes(name));
      if (missing.length > 0) throw new Error(`Not in the list: ${missing.join(', ')}.`);
    },
  },
];
