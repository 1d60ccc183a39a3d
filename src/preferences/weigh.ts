/**
 * `prefgrad weigh`: DPO (EW) of BMC. A language model quotes the passages that make an answer better (chosen) or worse
 * (rejected) than the other, with a score; they become weights of character spans, which loading spreads over tokens.
 * Columns: `chosen_weights`, `rejected_weights`. Our choice, where the paper is silent: weight = 1 + scale x score / 3.
 */
import * as z from 'zod';
import type { Columns } from '../data/columns.ts';
import type { Span } from '../data/weights.ts';
import type { LlmRequest } from '../llm/request.ts';
import type { CompletionModel } from './completion-model.ts';
import { type AnswerPair, answerLike, promptText, readPair, writtenRow } from './dialogue.ts';
import type { PromptFile } from './prompt-file.ts';
import type { RowStep } from './row-step.ts';

export interface WeighOptions {
  readonly model: CompletionModel;
  readonly modelName: string;
  readonly prompts: PromptFile;
  readonly maxTokens: number;
  /** What the highest score adds to the weight of 1. */
  readonly scale: number;
  readonly columns?: Columns;
}

type Side = 'chosen' | 'rejected';

const HIGHEST_SCORE = 3;
const quotes = z.array(z.object({ text: z.string().min(1), score: z.number().min(0).max(HIGHEST_SCORE) }));

/** @throws InputError where the prompt file lacks what is needed */
export function weighStep(options: WeighOptions): RowStep<AnswerPair> {
  const { model, prompts, maxTokens, scale, columns = {} } = options;
  for (const side of ['chosen', 'rejected']) prompts.check(side, ['prompt', 'answer', 'other']);
  const messages = (pair: AnswerPair, side: Side) =>
    prompts.messages(side, {
      prompt: promptText(pair.prompt),
      answer: pair[side],
      other: pair[side === 'chosen' ? 'rejected' : 'chosen'],
    });
  const request = (pair: AnswerPair, side: Side): LlmRequest => ({
    messages: messages(pair, side),
    maxTokens,
    temperature: 0,
  });
  const spansOf = async (pair: AnswerPair, side: Side): Promise<Span[] | string> => {
    const first = (await model.complete(request(pair, side))).text;
    const spans = readSpans(first, pair[side], scale);
    if (typeof spans !== 'string') return spans;
    const again = [
      ...messages(pair, side),
      { role: 'assistant', content: first },
      { role: 'user', content: prompts.retry(spans) },
    ];
    return readSpans(
      (await model.complete({ messages: again, maxTokens, temperature: 0 })).text,
      pair[side],
      scale,
    );
  };
  return {
    settings: {
      command: 'weigh',
      model: options.modelName,
      prompts: { name: prompts.name, version: prompts.version },
      max_tokens: maxTokens,
      scale,
      columns,
    },
    read: (raw) => readPair(raw, columns),
    requests: (pair) => [request(pair, 'chosen'), request(pair, 'rejected')],
    async run(pair, index, raw) {
      const [chosen, rejected] = await Promise.all([spansOf(pair, 'chosen'), spansOf(pair, 'rejected')]);
      for (const spans of [chosen, rejected]) {
        if (typeof spans === 'string')
          return { kind: 'dropped', reason: 'unusable judgment', detail: { problem: spans } };
      }
      const fields = {
        prompt: pair.prompt,
        chosen: answerLike(pair.prompt, pair.chosen),
        rejected: answerLike(pair.prompt, pair.rejected),
        chosen_weights: chosen,
        rejected_weights: rejected,
      };
      return { kind: 'row', value: writtenRow(index, raw, fields) };
    },
  };
}

/** Spans in code points of the quoted passages, in the order of the quotes; what is wrong with the judgment otherwise. */
export function readSpans(judgment: string, answer: string, scale: number): Span[] | string {
  const list = /\[[\s\S]*\]/.exec(judgment)?.[0];
  let value: unknown;
  try {
    value = JSON.parse(list ?? '');
  } catch {
    return 'it is no JSON list';
  }
  const parsed = quotes.safeParse(value);
  if (!parsed.success) return `its entries must have a text and a score from 0 to ${HIGHEST_SCORE}`;
  const spans: Span[] = [];
  let from = 0;
  for (const { text, score } of parsed.data) {
    const at = answer.indexOf(text, from);
    if (at < 0)
      return `the passage ${JSON.stringify(text)} does not stand in the answer behind the one before it`;
    from = at + text.length;
    if (score === 0) continue;
    const start = codePoints(answer.slice(0, at));
    spans.push({ start, end: start + codePoints(text), weight: 1 + (scale * score) / HIGHEST_SCORE });
  }
  return spans;
}

function codePoints(text: string): number {
  return Array.from(text).length;
}
