/** A language model as a judge, by a prompt: a score from 1 to 10 for each answer, or pairs of answers in both orders. */
import type { ChatMessage, LlmRequest } from '../../llm/request.ts';
import { shortened } from '../../llm/response.ts';
import { LlmError } from '../../llm/retry.ts';
import type { CompletionModel } from '../completion-model.ts';
import { promptText } from '../dialogue.ts';
import type { PromptFile } from '../prompt-file.ts';
import type { Rater, RatingTask } from './rater.ts';

export interface JudgeOptions {
  readonly model: CompletionModel;
  readonly modelName: string;
  readonly prompts: PromptFile;
  readonly maxTokens: number;
}

const PLACES = { score: ['prompt', 'answer'], pairwise: ['prompt', 'first', 'second'] } as const;

/** @throws InputError where the prompt file lacks what is needed */
export function judge(kind: 'score' | 'pairwise', options: JudgeOptions): Rater {
  const { prompts, maxTokens } = options;
  prompts.check(kind, PLACES[kind]);
  const asker = new Asker(options);
  return {
    settings: {
      kind: `judge:${kind}`,
      model: options.modelName,
      prompts: { name: prompts.name, version: prompts.version },
      max_tokens: maxTokens,
    },
    rate: (task) => (kind === 'score' ? scores(asker, task) : wins(asker, task)),
    requests: (task) =>
      kind === 'score'
        ? task.answers.map((answer) =>
            asker.request(asker.messages('score', { prompt: promptText(task.prompt), answer })),
          )
        : ordered(task.answers).map(([a, b]) => asker.request(pairMessages(asker, task, a, b))),
  };
}

function scores(asker: Asker, { prompt, answers }: RatingTask): Promise<number[]> {
  return Promise.all(
    answers.map((answer) => {
      const messages = asker.messages('score', { prompt: promptText(prompt), answer });
      return asker.ask(messages, (text) => {
        const score = Number(/\[\[\s*(\d+(?:\.\d+)?)\s*\]\](?![\s\S]*\[\[)/.exec(text)?.[1] ?? Number.NaN);
        return score >= 1 && score <= 10 ? score : undefined;
      });
    }),
  );
}

/** Every pair in both orders: 1 for a win, 1/2 for a draw; a verdict that follows the place counts one half to each. */
async function wins(asker: Asker, task: RatingTask): Promise<number[]> {
  const total = task.answers.map(() => 0);
  await Promise.all(
    ordered(task.answers).map(async ([a, b]) => {
      const share = await asker.ask(pairMessages(asker, task, a, b), (text) => {
        const verdict = /\[\[\s*([ABC])\s*\]\](?![\s\S]*\[\[)/.exec(text)?.[1];
        return verdict === undefined ? undefined : { A: 1, B: 0, C: 0.5 }[verdict];
      });
      total[a] += share;
      total[b] += 1 - share;
    }),
  );
  return total;
}

/** All ordered pairs of places. */
function ordered(answers: readonly string[]): (readonly [number, number])[] {
  return answers.flatMap((_, a) => answers.flatMap((_, b) => (a === b ? [] : [[a, b] as const])));
}

function pairMessages(asker: Asker, { prompt, answers }: RatingTask, a: number, b: number): ChatMessage[] {
  return asker.messages('pairwise', { prompt: promptText(prompt), first: answers[a], second: answers[b] });
}

/** Asks, and asks once more where the answer has no verdict. */
class Asker {
  readonly #options: JudgeOptions;

  constructor(options: JudgeOptions) {
    this.#options = options;
  }

  messages(variant: string, texts: Readonly<Record<string, string>>): ChatMessage[] {
    return this.#options.prompts.messages(variant, texts);
  }

  request(messages: readonly ChatMessage[]): LlmRequest {
    return { messages, maxTokens: this.#options.maxTokens, temperature: 0 };
  }

  /** @throws LlmError where there is no verdict twice */
  async ask(messages: readonly ChatMessage[], read: (text: string) => number | undefined): Promise<number> {
    const { model, modelName, prompts } = this.#options;
    const first = (await model.complete(this.request(messages))).text;
    const value = read(first);
    if (value !== undefined) return value;
    const again = [
      ...messages,
      { role: 'assistant', content: first },
      { role: 'user', content: prompts.retry('it has no verdict') },
    ];
    const second = (await model.complete(this.request(again))).text;
    const late = read(second);
    if (late !== undefined) return late;
    throw new LlmError(
      `${modelName} as a judge`,
      [first, second].map((text) => `no verdict in ${shortened(text)}`),
    );
  }
}
