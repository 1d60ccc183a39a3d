/** A reward model on this machine's GPU as a rater: any family that prefgrad runs, under a linear or ArmoRM's gated head. */
import { ChatTemplate } from '../../data/chat-template.ts';
import { loadTokenizer } from '../../data/load-tokenizer.ts';
import type { Tokenizer } from '../../data/tokenizer.ts';
import { RunError } from '../../errors.ts';
import { ModelDirectory } from '../../formats/model-directory.ts';
import { Gpu } from '../../gpu/device.ts';
import { LlmError } from '../../llm/retry.ts';
import { type LoadedModel, loadModel } from '../../models/loading/load.ts';
import { describeBackbone } from '../../models/registry.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { Prompt } from '../dialogue.ts';
import { hiddenStates } from '../hidden-states.ts';
import type { Rater } from './rater.ts';
import { type RewardHead, readRewardHead } from './reward-head.ts';

/** What Llama 3 writes between prompt and answer; ArmoRM's gates look at its first token. */
const GATE_TEXT = '<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n';

/** Tokens of one pass, unless a single text has more. */
const PASS_TOKENS = 4096;

/** A text to be scored. */
export interface RewardText {
  readonly ids: readonly number[];
  /** Place of the prompt's end, for gated heads. */
  readonly gate: number;
}

export class RewardModel {
  readonly #gpu: Gpu;
  readonly #loaded: LoadedModel;
  readonly #head: RewardHead;
  readonly positions: number;

  private constructor(gpu: Gpu, loaded: LoadedModel, head: RewardHead) {
    this.#gpu = gpu;
    this.#loaded = loaded;
    this.#head = head;
    this.positions = loaded.config.maxPositions;
  }

  /** @throws InputError for a directory that holds no reward model of a family that prefgrad runs */
  static async load(gpu: Gpu, path: string): Promise<RewardModel> {
    const directory = await ModelDirectory.open(gpu.runtime.files, path);
    try {
      const head = await readRewardHead(directory);
      const { maxPositions: positions } = describeBackbone(directory.config, `${path}/config.json`).config;
      const loaded = await loadModel(gpu, path, { train: 'none', dtype: 'auto', positions, backbone: true });
      return new RewardModel(gpu, loaded, head);
    } finally {
      await directory.close();
    }
  }

  get isGated(): boolean {
    return this.#head.isGated;
  }

  /** One score per text. @throws RunError for a score that is no finite number */
  async score(texts: readonly RewardText[]): Promise<number[]> {
    const requests = texts.map(({ ids, gate }) => {
      const last = ids.length - 1;
      return { ids, places: this.isGated && gate < last ? [gate, last] : [last] };
    });
    const longest = Math.max(...texts.map(({ ids }) => ids.length));
    const tokens = Math.max(PASS_TOKENS, longest);
    const states = await hiddenStates(this.#gpu, this.#loaded.model, requests, tokens);
    return states.map((found) => {
      const score = this.#head.score(found[found.length - 1], found[0]);
      if (Number.isFinite(score)) return score;
      throw new RunError(`The reward model gives an answer the score ${score}; check its weights.`);
    });
  }

  free(): void {
    this.#loaded.free();
  }
}

/** @param device the WebGPU device */
export async function openRewardRater(
  runtime: Runtime,
  path: string,
  device: string | undefined,
): Promise<Rater> {
  const tokenizer = await loadTokenizer(runtime.files, path);
  const gpu = await Gpu.open(runtime, { device });
  const model = await RewardModel.load(gpu, path);
  const textOf = rewardTexts(tokenizer, model.isGated, path);
  // One pass at a time: the device is one.
  let before: Promise<unknown> = Promise.resolve();
  return {
    settings: { kind: 'reward', model: path, head: model.isGated ? 'gated' : 'linear' },
    async rate({ prompt, answers }) {
      const texts = answers.map((answer) => textOf(prompt, answer));
      const long = texts.find(({ ids }) => ids.length > model.positions);
      if (long !== undefined) {
        throw new LlmError(path, [
          `a text has ${long.ids.length} tokens, but the model ${model.positions} positions`,
        ]);
      }
      const now = before.then(() => model.score(texts));
      before = now.catch(() => {});
      return now;
    },
    async close() {
      model.free();
      gpu.close();
    },
  };
}

/** Prompt and answer as the model was trained on them: by its chat template, or as plain text where it has none. */
function rewardTexts(tokenizer: Tokenizer, isGated: boolean, path: string) {
  const template = tokenizer.chatTemplate === undefined ? undefined : new ChatTemplate(tokenizer);
  const pattern = isGated ? tokenizer.encodeTemplated(GATE_TEXT) : [];
  return (prompt: Prompt, answer: string): RewardText => {
    const ids = textIds(tokenizer, template, prompt, answer);
    const gate = isGated ? lastPlace(ids, pattern) : 0;
    if (gate >= 0) return { ids, gate };
    throw new LlmError(path, [
      "the chat template does not write Llama 3's headers, at which a gated head looks",
    ]);
  };
}

function textIds(
  tokenizer: Tokenizer,
  template: ChatTemplate | undefined,
  prompt: Prompt,
  answer: string,
): number[] {
  if (template === undefined && typeof prompt === 'string') {
    const end = tokenizer.eosId === undefined ? [] : [tokenizer.eosId];
    return [...tokenizer.encodePrompt(prompt), ...tokenizer.encodeContinuation(answer, 'text'), ...end];
  }
  const turns = typeof prompt === 'string' ? [{ role: 'user', content: prompt }] : prompt;
  const chat = (template ?? new ChatTemplate(tokenizer)).encode(
    turns,
    [[{ role: 'assistant', content: answer }]],
    { file: 'the row', line: 1 },
  );
  return [...chat.promptIds, ...chat.answerIds[0]];
}

/** First place of the last occurrence of `pattern`; -1 where there is none. */
export function lastPlace(ids: readonly number[], pattern: readonly number[]): number {
  for (let at = ids.length - pattern.length; at >= 0; at--) {
    if (pattern.every((id, i) => ids[at + i] === id)) return at;
  }
  return -1;
}
