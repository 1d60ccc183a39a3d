/** A language model as the editor. */
import type { ChatMessage, LlmRequest } from '../../llm/request.ts';
import type { CompletionModel } from '../completion-model.ts';
import { promptText } from '../dialogue.ts';
import type { PromptFile } from '../prompt-file.ts';
import type { Edit, Editor, EditTask } from './editor.ts';

export interface LlmEditorOptions {
  readonly model: CompletionModel;
  /** Name of the model, for the settings file. */
  readonly modelName: string;
  readonly prompts: PromptFile;
  readonly direction: 'bridge' | 'degrade';
  readonly withReference: boolean;
  readonly maxTokens: number;
  readonly temperature: number;
}

/** @throws InputError where the prompt file lacks what is needed */
export function llmEditor(options: LlmEditorOptions): Editor {
  const { model, prompts, direction, withReference, maxTokens, temperature } = options;
  const variant = withReference ? direction : `${direction}_without_reference`;
  prompts.check(variant, withReference ? ['prompt', 'reference', 'answer'] : ['prompt', 'answer']);
  const ask = ({ prompt, answer, reference }: EditTask): ChatMessage[] =>
    prompts.messages(variant, { prompt: promptText(prompt), answer, reference: reference ?? '' });
  const request = (messages: readonly ChatMessage[]): LlmRequest => ({ messages, maxTokens, temperature });
  return {
    settings: {
      kind: 'llm',
      model: options.modelName,
      prompts: { name: prompts.name, version: prompts.version, variant },
      max_tokens: maxTokens,
      temperature,
    },
    retries: true,
    async edit(task, problem) {
      const messages = ask(task);
      const first = await model.complete(request(messages));
      if (problem === undefined) return parseEdit(first.text);
      // The first answer comes from the cache; the second try sees it and what was wrong with it.
      const again = [
        ...messages,
        { role: 'assistant', content: first.text },
        { role: 'user', content: prompts.retry(problem) },
      ];
      return parseEdit((await model.complete(request(again))).text);
    },
    requests: (task) => [request(ask(task))],
  };
}

/** The last text between <edited> and </edited>, else the verdict. Line ends beside the tags are not part of the text. */
export function parseEdit(answer: string): Edit {
  const edits = [...answer.matchAll(/<edited>([\s\S]*?)<\/edited>/g)];
  const text = edits.at(-1)?.[1]?.trim();
  if (text) return { kind: 'edited', text };
  if (/<verdict>\s*good enough\s*<\/verdict>/i.test(answer)) return { kind: 'good enough' };
  return { kind: 'unparsable', answer };
}
