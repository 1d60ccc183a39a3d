/** `prefgrad score` on a checkpoint of every family gives PyTorch's log-probs (test/fixtures/families). */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { runCli } from '../../src/cli/program.ts';
import { testRuntime } from '../support/runtime.ts';

const FOLDER = 'test/fixtures/families';
const folder = mkdtempSync(join(tmpdir(), 'prefgrad-score-families-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Answers<T> {
  readonly chosen: T;
  readonly rejected: T;
}

interface Fixture {
  readonly pairs: readonly (Answers<readonly number[]> & { readonly prompt: readonly number[] })[];
  readonly logps: Readonly<Record<'policy' | 'reference', readonly Answers<readonly number[]>[]>>;
}

interface Side {
  readonly token_ids: readonly number[];
  readonly logps: readonly number[];
  readonly ref_logps: readonly number[];
}

/** A tokenizer of single characters: id i is LETTERS[i], but for BOS and EOS. */
const LETTERS = '012ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz3456789+-';

function writeTokenizer(path: string, bos: number, eos: number): void {
  const named = { [bos]: '<s>', [eos]: '</s>' };
  const tokens = [...LETTERS].map((letter, id) => named[id] ?? letter);
  const special = (id: number) => ({
    id,
    content: tokens[id],
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  });
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [special(Math.min(bos, eos)), special(Math.max(bos, eos))],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: [],
    },
  };
  const config = { bos_token: '<s>', eos_token: '</s>', add_bos_token: true };
  writeFileSync(`${path}/tokenizer.json`, JSON.stringify(tokenizer));
  writeFileSync(`${path}/tokenizer_config.json`, JSON.stringify(config));
}

describe('score gives the log-probs of PyTorch to 2e-5', () => {
  it.each([
    ['qwen2', 1, 2],
    ['qwen3', 1, 2],
    ['gemma2', 2, 1],
    ['mistral', 1, 2],
  ])('%s', async (family, bos, eos) => {
    const fixture = JSON.parse(readFileSync(`${FOLDER}/${family}.json`, 'utf8')) as Fixture;
    const model = join(folder, family);
    mkdirSync(model);
    for (const file of ['config.json', 'model.safetensors'])
      copyFileSync(`${FOLDER}/${family}/${file}`, `${model}/${file}`);
    writeTokenizer(model, bos, eos);
    const text = (ids: readonly number[]) =>
      ids
        .filter((id) => id !== bos && id !== eos)
        .map((id) => LETTERS[id])
        .join('');
    // The last pair has an answer that is EOS alone, which no text is.
    const pairs = fixture.pairs.slice(0, 3);
    const rows = pairs.map(({ prompt, chosen, rejected }) =>
      JSON.stringify({ prompt: text(prompt), chosen: text(chosen), rejected: text(rejected) }),
    );
    const [data, out] = [join(folder, `${family}.jsonl`), join(folder, `${family}-scores.jsonl`)];
    writeFileSync(data, rows.join('\n'));
    const errors: string[] = [];
    const code = await runCli(
      [
        'score',
        '--model',
        model,
        '--reference',
        `${FOLDER}/${family}-reference`,
        '--data',
        data,
        '--out',
        out,
      ],
      {
        out() {},
        err: (line) => errors.push(line),
        terminal: undefined,
        runtime: async () => testRuntime(),
        exitCode: 0,
      },
    );
    expect(code, errors.join('')).toBe(0);
    const lines = readFileSync(out, 'utf8').trim().split('\n');
    lines.forEach((line, i) => {
      const record = JSON.parse(line) as Answers<Side>;
      for (const side of ['chosen', 'rejected'] as const) {
        const { token_ids, logps, ref_logps } = record[side];
        expect(token_ids).toEqual(pairs[i][side]);
        for (const [found, expected] of [
          [logps, fixture.logps.policy[i][side]],
          [ref_logps, fixture.logps.reference[i][side]],
        ]) {
          const worst = Math.max(...found.map((value, t) => Math.abs(value - expected[t])));
          expect(worst, `pair ${i}, ${side}`).toBeLessThan(2e-5);
        }
      }
    });
    expect(lines).toHaveLength(3);
  });
});
