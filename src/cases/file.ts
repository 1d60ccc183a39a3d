/** The file that `prefgrad objectives --evaluate` reads: pairs with logits, and cases to compute over them. */
import { z } from 'zod';
import { InputError, InputErrors } from '../errors.ts';
import { parseJsonObject } from '../formats/json-file.ts';

const ids = z.array(z.number().int().min(0)).min(1);
const logits = z.array(z.array(z.number()).min(2)).min(1);

const pairSchema = z.object({
  chosen_ids: ids,
  rejected_ids: ids,
  policy_chosen_logits: logits,
  policy_rejected_logits: logits,
  ref_chosen_logits: logits,
  ref_rejected_logits: logits,
  policy_KL_logp: z.number().max(0).optional(),
  ref_KL_logp: z.number().max(0).optional(),
});

const caseSchema = z.object({ name: z.string(), hp: z.record(z.string(), z.unknown()).default({}) });

const fileSchema = z.object({
  batch: z.object({ pairs: z.array(pairSchema).min(1) }),
  cases: z.array(caseSchema),
});

/** Logits are [tokens, vocabulary]; each row predicts the response token of the same index. */
export type CasePair = z.infer<typeof pairSchema>;
export type CaseRequest = z.infer<typeof caseSchema>;

/** @throws InputError(s) naming the file and every field that is missing or of the wrong kind or shape. */
export function parseCaseFile(
  text: string,
  path: string,
): { readonly pairs: readonly CasePair[]; readonly cases: readonly CaseRequest[] } {
  const parsed = fileSchema.safeParse(parseJsonObject(text, path));
  if (!parsed.success) {
    const problems = parsed.error.issues.slice(0, 20).map((i) => `${i.path.join('.')}: ${i.message}`);
    throw new InputErrors(`${path} is no file of cases:`, problems);
  }
  const { batch, cases } = parsed.data;
  const vocabulary = batch.pairs[0].policy_chosen_logits[0].length;
  batch.pairs.forEach((pair, i) => {
    checkShapes(pair, vocabulary, `${path}: batch.pairs.${i}`);
  });
  return { pairs: batch.pairs, cases };
}

function checkShapes(pair: CasePair, vocabulary: number, where: string): void {
  for (const side of ['chosen', 'rejected'] as const) {
    const tokens = pair[`${side}_ids`];
    for (const name of [`policy_${side}_logits`, `ref_${side}_logits`] as const) {
      if (pair[name].length !== tokens.length || pair[name].some((row) => row.length !== vocabulary)) {
        throw new InputError(
          `${where}.${name} is not [${tokens.length}, ${vocabulary}], tokens of ${side}_ids by vocabulary.`,
        );
      }
    }
    const outside = tokens.find((id) => id >= vocabulary);
    if (outside !== undefined) {
      throw new InputError(`${where}.${side}_ids has token ${outside}; there are logits of ${vocabulary}.`);
    }
  }
}
