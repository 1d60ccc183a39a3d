/**
 * `prefgrad continue`: DPO (CW) of BMC. The model continues a prefix of the chosen answer; prefix and continuation are the
 * rejected one. Prompt and prefix go to the model as token ids, so that the cut is where the model would have stood.
 */
import { ChatTemplate } from '../data/chat-template.ts';
import type { Columns } from '../data/columns.ts';
import type { RawRow } from '../data/sources/raw-row.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { LlmRequest, SamplingSettings } from '../llm/request.ts';
import type { CompletionModel } from './completion-model.ts';
import { answerLike, type Prompt, readPrompt, writtenRow } from './dialogue.ts';
import { readTruth } from './own-output.ts';
import { type PromptShape, shaped } from './prompt-shape.ts';
import { samplingSettings } from './rollout.ts';
import type { RowStep } from './row-step.ts';

export interface ContinueOptions {
  readonly model: CompletionModel;
  readonly modelName: string;
  readonly tokenizer: Tokenizer;
  /** Part of the chosen answer that is kept, of its tokens; 0 < share < 1. */
  readonly share: number;
  readonly sampling: SamplingSettings;
  readonly shape: PromptShape;
  readonly columns?: Columns;
}

interface Beginning {
  readonly prompt: Prompt;
  readonly chosen: string;
  /** Text of the tokens that are kept. */
  readonly prefix: string;
  /** Prompt and prefix. */
  readonly ids: readonly number[];
}

export function continueStep(options: ContinueOptions): RowStep<Beginning> {
  const { model, tokenizer, share, sampling, shape, columns = {} } = options;
  let template: ChatTemplate | undefined;
  const promptIds = (prompt: Prompt, raw: RawRow): readonly number[] => {
    if (typeof prompt === 'string') return tokenizer.encodePrompt(prompt);
    template ??= new ChatTemplate(tokenizer);
    return template.encode(prompt, [], raw).promptIds;
  };
  const request = ({ ids }: Beginning): LlmRequest => ({ prompt: ids, ...sampling, mayBeEmpty: true });
  return {
    settings: {
      command: 'continue',
      model: options.modelName,
      share,
      sampling: { ...samplingSettings(sampling), seed: sampling.seed ?? null },
      prompt_shape: shape,
      columns,
    },
    read(raw) {
      const prompt = shaped(readPrompt(raw, columns), shape);
      const chosen = readTruth(raw, columns);
      const { prefix, prefixIds } = cut(tokenizer, chosen, share);
      return { prompt, chosen, prefix, ids: [...promptIds(prompt, raw), ...prefixIds] };
    },
    requests: (beginning) => [request(beginning)],
    async run(beginning, index, raw) {
      const { prompt, chosen, prefix } = beginning;
      if (prefix === '') return { kind: 'dropped', reason: 'answer of one token' };
      const { text } = await model.complete(request(beginning));
      const rejected = prefix + text;
      if (rejected.trim() === chosen.trim()) return { kind: 'dropped', reason: 'continued as it was' };
      const pair = { prompt, chosen: answerLike(prompt, chosen), rejected: answerLike(prompt, rejected) };
      return { kind: 'row', value: writtenRow(index, raw, { ...pair, prefix_characters: prefix.length }) };
    },
  };
}

/** The first share of an answer's tokens: at least one, never all, and no half characters. */
function cut(tokenizer: Tokenizer, answer: string, share: number): { prefix: string; prefixIds: number[] } {
  const ids = tokenizer.encodeContinuation(answer, 'text');
  for (
    let count = Math.min(Math.max(1, Math.floor(share * ids.length)), ids.length - 1);
    count > 0;
    count--
  ) {
    const prefixIds = ids.slice(0, count);
    const prefix = tokenizer.decode(prefixIds);
    if (answer.startsWith(prefix)) return { prefix, prefixIds };
  }
  return { prefix: '', prefixIds: [] };
}
