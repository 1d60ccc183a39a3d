/** The page's scores are those of `prefgrad score`, and the engine says what is wrong in sentences. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bmcSettings } from '../../src/objectives/token-weights/bmc.ts';
import type { ScoreRecord } from '../../src/score/record.ts';
import { scoreFile } from '../../src/score/score.ts';
import type { ShippedScores } from '../../web/app/shipped.ts';
import type { ModelSource, PairStatistics, ScoredPair } from '../../web/worker/protocol.ts';
import { testRuntime } from '../support/runtime.ts';
import { dropped, EVAL, evalPairs, newEngine, STORIES } from './support.ts';

const MODELS = 'web/public/models';
const engine = newEngine();
const method = { name: 'dpo', settings: { beta: 0.5 }, bmc: {} };
const request = { policy: 'dpo-bmc', reference: 'reference', method, details: false };

beforeAll(async () => {
  await engine.open();
  await engine.loadModel('reference', dropped(`${MODELS}/reference`));
  await engine.loadModel('dpo-bmc', dropped(`${MODELS}/dpo-bmc`));
});
afterAll(() => engine.close());

function scored(result: ScoredPair | undefined): ScoredPair {
  if (result === undefined) throw new Error('The call was overtaken.');
  return result;
}

const total = (values: readonly number[] = []) => values.reduce((a, b) => a + b, 0);

describe('texts of tokens', () => {
  it('are what a reader sees: a character of several tokens stands at the last of them', async () => {
    const pair = { prompt: 'Once', chosen: ' a 😀 é!', rejected: ' 猫' };
    const { chosen, rejected } = scored(await engine.score('texts', { ...request, pair }));
    expect(chosen.tokens).toContain('<0xF0>');
    expect(chosen.texts?.join('')).toBe(' a 😀 é!</s>');
    expect(rejected.texts?.join('')).toBe(' 猫</s>');
    expect(chosen.texts).toHaveLength(chosen.token_ids.length);
  });
});

describe('scores', () => {
  it('are those of prefgrad score', async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'prefgrad-page-'));
    const data = `${folder}/pairs.jsonl`;
    const out = `${folder}/scores.jsonl`;
    const pairs = evalPairs(2);
    fs.writeFileSync(data, pairs.map((pair) => JSON.stringify(pair)).join('\n'));
    await scoreFile(testRuntime(), {
      model: `${MODELS}/dpo-bmc`,
      reference: `${MODELS}/reference`,
      data,
      out,
      objective: { name: 'dpo', settings: method.settings },
      bmc: bmcSettings.parse({}),
      maxLength: undefined,
      truncation: 'keep_start',
      columns: {},
      format: 'auto',
      device: undefined,
    });
    const lines = fs.readFileSync(out, 'utf8').trim().split('\n');
    for (const [i, line] of lines.entries()) {
      const expected = JSON.parse(line) as ScoreRecord;
      const result = scored(await engine.score('page', { ...request, pair: pairs[i] }));
      for (const side of ['chosen', 'rejected'] as const) {
        expect(result[side].token_ids).toEqual(expected[side].token_ids);
        expect(result[side].diff).toEqual(expected[side].diff);
        const sum = total(expected[side].contributions);
        expect(Math.abs(sum)).toBeGreaterThan(1e-3);
        expect(Math.abs((result.sums?.[side] ?? Number.NaN) - sum)).toBeLessThan(1e-5);
      }
    }
    fs.rmSync(folder, { recursive: true });
  });

  it('are those that ship with the page', async () => {
    const shippedScores = JSON.parse(fs.readFileSync('web/public/scores.json', 'utf8')) as ShippedScores;
    expect(shippedScores.pairs.length).toBeGreaterThanOrEqual(24);
    const [pair] = shippedScores.pairs;
    const [shipped] = shippedScores.scores['dpo-bmc'];
    const trained = shippedScores.methods['dpo-bmc'];
    const live = scored(await engine.score('page', { ...request, method: trained, pair, details: true }));
    expect(live.margin).toBeCloseTo(shipped.margin ?? Number.NaN, 3);
    expect(live.chosen.ranks?.length).toBe(live.chosen.tokens.length);
    live.chosen.top?.forEach((candidates, t) => {
      const { ranks, logps, token_ids } = live.chosen;
      const rank = ranks?.[t] ?? -1;
      if (rank >= candidates.length) return;
      expect(candidates[rank].id).toBe(token_ids[t]);
      expect(candidates[rank].logp).toBeCloseTo(logps[t], 4);
    });
    expect(Math.min(...(live.chosen.kl ?? []))).toBeGreaterThan(-1e-5);
    expect(shipped.chosen.entropy?.length).toBe(shipped.chosen.tokens.length);
  });

  it('that were overtaken are undefined', async () => {
    const [first, second] = evalPairs(2);
    const calls = [
      engine.score('typing', { ...request, pair: first }),
      engine.score('other', { ...request, pair: first }),
      engine.score('typing', { ...request, pair: second }),
    ];
    const [stale, other, last] = await Promise.all(calls);
    expect(stale).toBeUndefined();
    expect(other).toBeDefined();
    expect(last?.prompt.token_ids.length).toBeGreaterThan(0);
  });

  it('say which tokens were cut off', async () => {
    const [pair] = evalPairs(1);
    const chosen = pair.chosen.repeat(12);
    const result = scored(await engine.score('long', { ...request, pair: { ...pair, chosen } }));
    expect(result.chosen.cut.length).toBeGreaterThan(0);
    // What was kept and what was cut off are the whole answer, with its EOS.
    expect([...result.chosen.tokens, ...result.chosen.cut].join('')).toContain(chosen.trim());
    expect(result.rejected.cut).toEqual([]);
    expect(result.prompt.tokens.length + result.chosen.tokens.length).toBe(512);
  });

  it('are refused in sentences', async () => {
    const [pair] = evalPairs(1);
    const refused = (change: object) => engine.score('bad', { ...request, pair, ...change });
    await expect(refused({ pair: { ...pair, rejected: pair.chosen } })).rejects.toThrow(/nothing to prefer/);
    await expect(refused({ policy: 'nobody' })).rejects.toThrow(/no model called nobody; loaded: reference/);
    await expect(refused({ reference: undefined })).rejects.toThrow(/dpo compares with a reference/);
    await expect(refused({ method: { name: 'dop', settings: {} } })).rejects.toThrow(/did you mean dpo/);
  });
});

describe('many pairs', () => {
  it('give the margins of their scores', async () => {
    const pairs = evalPairs(9);
    pairs[4] = { ...pairs[4], rejected: pairs[4].chosen };
    const groups: (readonly PairStatistics[])[] = [];
    await engine.statistics(pairs, 'dpo-bmc', 'reference', (rows) => {
      groups.push(rows);
      return true;
    });
    const rows = groups.flat();
    expect(groups.length).toBe(2);
    expect(rows.map((row) => row.index)).toEqual([0, 1, 2, 3, 5, 6, 7, 8]);
    const one = scored(await engine.score('one', { ...request, pair: pairs[8] }));
    const gap = (name: 'logps' | 'ref_logps') => total(one.chosen[name]) - total(one.rejected[name]);
    expect(rows[7].margin).toBeCloseTo(gap('logps') - gap('ref_logps'), 3);
    expect(rows[7].flipped).toBe(gap('logps') > 0 !== gap('ref_logps') > 0);
    expect(rows.some((row) => row.step !== 0)).toBe(true);
    const varied = one.chosen.logps.filter((_, t) => one.chosen.diff[t] === 1);
    expect(rows[7].spans.chosen.flat().map((v) => v.toFixed(3))).toEqual(varied.map((v) => (-v).toFixed(3)));
    const starts = one.chosen.diff.filter((d, t) => d === 1 && one.chosen.diff[t - 1] !== 1);
    expect(rows[7].spans.chosen).toHaveLength(starts.length);
  });

  it('are read with file and line', async () => {
    const text = fs.readFileSync(EVAL, 'utf8');
    expect((await engine.readPairs('eval.jsonl', new Blob([text])))[0]).toEqual(evalPairs(1)[0]);
    const broken = new Blob(['{"prompt":"a","chosen":"b","rejected":"c"}\n{"prompt":"a"}\n']);
    await expect(engine.readPairs('broken.jsonl', broken)).rejects.toThrow(/broken\.jsonl:2/);
    await expect(engine.readPairs('none.jsonl', new Blob(['no json']))).rejects.toThrow(/none\.jsonl:1/);
  });
});

describe('wrong files', () => {
  const drop = (files: Record<string, string>): ModelSource => ({
    kind: 'files',
    files: Object.entries(files).map(([name, text]) => ({ path: name, file: new Blob([text]) })),
  });

  it('get a sentence, and leave the model before in place', async () => {
    const load = (files: Record<string, string>) => engine.loadModel('dpo-bmc', drop(files));
    await expect(load({ 'photo.png': '' })).rejects.toThrow(
      /No model among the dropped files \(photo\.png\)/,
    );
    await expect(load({ 'config.json': '{' })).rejects.toThrow(/config\.json/);
    const config = fs.readFileSync(`${STORIES}/config.json`, 'utf8');
    await expect(load({ 'config.json': config })).rejects.toThrow(/neither model\.safetensors nor/);
    await expect(load({ 'config.json': config, 'model.safetensors': 'x' })).rejects.toThrow(
      /model\.safetensors/,
    );
    const [pair] = evalPairs(1);
    expect(await engine.score('after', { ...request, pair })).toBeDefined();
  });

  it('an adapter needs its model', async () => {
    const other = newEngine();
    await other.open();
    await expect(other.loadModel('policy', drop({ 'adapter_config.json': '{}' }))).rejects.toThrow(
      /PEFT adapter without its model/,
    );
    await other.close();
  });
});

describe('generation', () => {
  it('hands out the text as it grows, the same for the same seed', async () => {
    const texts: string[] = [];
    const options = { model: 'reference', prompt: 'Once upon a time', maxTokens: 6, temperature: 1, seed: 3 };
    const text = await engine.generate(options, (part) => texts.push(part));
    expect(texts.at(-1)).toBe(text);
    expect(texts.length).toBeGreaterThan(1);
    expect(await engine.generate(options, () => {})).toBe(text);
  });
});
