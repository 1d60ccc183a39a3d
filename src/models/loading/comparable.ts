/** Whether two models' next-token distributions can be compared token by token. */
import { InputError } from '../../errors.ts';
import type { CausalLM } from '../causal-lm.ts';

/**
 * @param key what names the reference in messages, such as 'reference.model'
 * @throws InputError for another vocabulary, or another cap on the logits: one kernel reads both models' logits
 */
export function checkComparable(policy: CausalLM, reference: CausalLM, key: string): void {
  const [own, other] = [policy.config, reference.config];
  if (own.vocabSize !== other.vocabSize) {
    throw new InputError(
      `${key}: its vocabulary has ${other.vocabSize} tokens, the policy's ${own.vocabSize}.`,
    );
  }
  if (own.logitSoftcap !== other.logitSoftcap) {
    throw new InputError(
      `${key}: it ${capText(other.logitSoftcap)}, the policy ${capText(own.logitSoftcap)} (final_logit_softcapping).`,
    );
  }
}

function capText(softcap: number | undefined): string {
  return softcap === undefined ? 'has no cap on its logits' : `caps its logits at ${softcap}`;
}
