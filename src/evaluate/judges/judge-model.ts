/** A language model that judges, and how it is asked: until a verdict can be read from what it wrote. */
import type { ChatMessage, SamplingSettings } from '../../llm/request.ts';
import type { CompletionModel } from '../../preferences/completion-model.ts';
import type { PromptFile } from '../../preferences/prompt-file.ts';

export interface JudgeModel {
  readonly model: CompletionModel;
  /** Our own prompts, or the user's; no published judge's words are ours. */
  readonly prompts: PromptFile;
  readonly sampling: Pick<SamplingSettings, 'maxTokens' | 'temperature'>;
}

export interface Verdict<T> {
  /** undefined where two tries gave none. */
  readonly value: T | undefined;
  /** What the judge wrote last. */
  readonly text: string;
}

/** Asks, and once more where `parse` finds no verdict. */
export async function askJudge<T>(
  { model, prompts, sampling }: JudgeModel,
  variant: string,
  texts: Readonly<Record<string, string>>,
  parse: (text: string) => T | undefined,
): Promise<Verdict<T>> {
  const messages: ChatMessage[] = prompts.messages(variant, texts);
  const first = await model.complete({ messages, ...sampling });
  const value = parse(first.text);
  if (value !== undefined) return { value, text: first.text };
  const again = [
    ...messages,
    { role: 'assistant', content: first.text },
    { role: 'user', content: prompts.retry('it has no verdict') },
  ];
  const second = await model.complete({ messages: again, ...sampling });
  return { value: parse(second.text), text: second.text };
}

/** What to say where there is nothing to be summed up. */
export const noVerdicts = (unit: string): string =>
  `The judge gave no verdict on any ${unit}; what it wrote is in the output.`;

/** What stands in the last [[...]]. */
export function lastVerdict(text: string): string | undefined {
  return [...text.matchAll(/\[\[\s*([^[\]]+?)\s*\]\]/g)].at(-1)?.[1];
}
