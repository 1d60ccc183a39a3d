/** A pair whose tokens are coloured by their rewards: what the policy has learned to prefer, token by token. */
import type { ScoredAnswer, ScoredLine } from '../../score/record.ts';
import { exampleIndex } from '../figures/bmc.ts';
import type { Scores } from '../material.ts';
import { Html, html } from './html.ts';

/** The pair in which the files differ most, once per file. */
export function tokenExamples(scores: readonly Scores[]): Html[] {
  const rewarded = scores.filter(({ pairs }) => pairs.some(({ chosen }) => chosen.rewards !== undefined));
  if (rewarded.length === 0) return [];
  const index = exampleIndex(rewarded);
  return rewarded.flatMap(({ name, pairs }) => {
    const pair = pairs.find((line) => line.index === index);
    return pair === undefined ? [] : [example(name, pair)];
  });
}

function example(name: string, { index, margin, chosen, rejected }: ScoredLine): Html {
  const rewards = [...(chosen.rewards ?? []), ...(rejected.rewards ?? [])];
  const largest = Math.max(1e-9, ...rewards.map(Math.abs));
  return html`<h3>${name}, row ${index}</h3>
<p>Margin ${(margin ?? 0).toPrecision(3)}. Rewards are unweighted; the strongest colour is ${largest.toPrecision(3)}. Underlined tokens differ from the other answer.</p>
<p class="tokens"><b>chosen</b> ${answer(chosen, largest)}</p>
<p class="tokens"><b>rejected</b> ${answer(rejected, largest)}</p>`;
}

function answer({ tokens, rewards = [], diff }: ScoredAnswer, largest: number): Html {
  const spans = tokens.map((token, t) => {
    const share = rewards[t] / largest;
    const side = share < 0 ? 'down' : 'up';
    const percent = Math.round(70 * Math.abs(share));
    return html`<span class="${side}${diff[t] === 1 ? ' varied' : ''}" style="--share:${percent}%" title="${rewards[t].toFixed(4)}">${token}</span>`
      .text;
  });
  return new Html(spans.join(''));
}
