/** Two models' answers to the same prompts before a judge, who does not know which is whose. */
import { randomWord } from '../../data/random.ts';
import type { PairedAnswers } from './answers-file.ts';
import { askJudge, type JudgeModel, lastVerdict } from './judge-model.ts';

/** A judgment in AlpacaEval's format. */
export interface Annotation {
  readonly instruction: string;
  readonly output_1: string;
  readonly output_2: string;
  /** 1: the baseline is better, 2: the model is, 1.5: neither; null: the judge gave no verdict. */
  readonly preference: number | null;
  /** True where the model's answer was shown first. */
  readonly swapped: boolean;
  readonly judgment: string;
}

const PREFERENCES: Readonly<Record<string, number>> = { A: 1, B: 2, C: 1.5 };

/** Whose answer stands first is drawn for each prompt from the seed. */
export function judgePairs(
  judge: JudgeModel,
  pairs: readonly PairedAnswers[],
  seed: number,
): Promise<Annotation[]> {
  judge.prompts.check('pairwise', ['prompt', 'first', 'second']);
  return Promise.all(
    pairs.map(async ({ prompt, baseline, model }, i) => {
      const swapped = randomWord(seed, i, 0) % 2 === 1;
      const [first, second] = swapped ? [model, baseline] : [baseline, model];
      const { value, text } = await askJudge(judge, 'pairwise', { prompt, first, second }, (written) => {
        const letter = lastVerdict(written);
        return letter === undefined ? undefined : PREFERENCES[letter];
      });
      const preference = value === undefined ? null : swapped ? 3 - value : value;
      return {
        instruction: prompt,
        output_1: baseline,
        output_2: model,
        preference,
        swapped,
        judgment: text,
      };
    }),
  );
}
