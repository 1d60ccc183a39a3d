/** The words of the page, explained where they stand: a button that opens a short text. */
import { h } from './dom.ts';

export type Term =
  | 'margin'
  | 'unweighted margin'
  | 'log-ratio margin'
  | 'contribution'
  | 'reward'
  | 'lambda'
  | 'K'
  | 'epsilon step'
  | 'flipped'
  | 'entropy'
  | 'KL'
  | 'rank'
  | 'reference'
  | 'beta'
  | 'share of margin'
  | 'differs';

const MEANINGS: Readonly<Record<Term, string>> = {
  margin:
    'The reward of the chosen answer minus that of the rejected one, as the method logs them (rewards/margins). Above 0 the policy prefers the chosen answer more than the reference does.',
  'unweighted margin': 'The same difference of β (log p − log p_ref), without token weights: BMC, Figure 6.',
  'log-ratio margin':
    'log p − log p_ref of the chosen answer minus that of the rejected one, by the first model: comparable between methods, since it has neither β nor token weights.',
  contribution:
    'A token’s term in the method’s own reward. The terms of an answer add up to the number beside it.',
  reward: 'β (log p − log p_ref) of a token: DPO’s implicit reward, without token weights.',
  lambda: 'BMC’s weight of a differing token: λ = 1 + min(1/p, δ). Tokens that both answers share keep 1.',
  K: 'MIPO’s K: how much higher the reference’s mean log-prob of the chosen answer is than that of the rejected one.',
  'epsilon step':
    'ε-DPO’s step of β for this pair: 1 lowers β, −1 raises it, 0 keeps it, by whether the margin is monotone around the policy.',
  flipped: 'The policy ranks the two answers in another order than the reference does.',
  entropy: 'Entropy of the next-token distribution under the policy, in nats: how open the choice was.',
  KL: 'KL(policy ‖ reference) of the next-token distribution, in nats: how far training moved it here.',
  rank: 'Place of the token among all next tokens by probability; 1 is the most probable.',
  reference: 'The model that the policy is held against, usually the one that training started from.',
  beta: 'Scale of the reward: reward = β (log p − log p_ref).',
  'share of margin':
    'How much of the margin this token makes; a rejected token counts with the opposite sign.',
  differs: 'Tokens that an edit distance alignment finds in one answer only.',
};

let count = 0;

/** The term as text with a button that explains it. */
export function term(name: Term, text: string = name): HTMLElement {
  const id = `term-${++count}`;
  const popover = h('span', { class: 'term-text', id, popover: 'auto', role: 'note' }, MEANINGS[name]);
  const button = h(
    'button',
    { type: 'button', class: 'term', popovertarget: id, 'aria-label': `${text}: what is it?` },
    text,
  );
  return h('span', { class: 'term-box' }, button, popover);
}
