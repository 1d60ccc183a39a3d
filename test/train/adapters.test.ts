/** Parquet rows to one merged model: SFT with LoRA, preference tuning on top, scores, the merged model, its texts. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { locateModel } from '../../src/formats/model-location.ts';
import { trainConfigFrom } from '../../src/train/config.ts';
import type { Metrics, RunSummary } from '../../src/train/hooks.ts';
import { train } from '../../src/train/train.ts';
import { temporaryDirectory } from '../runtime/temporary.ts';
import { expectClose } from '../support/close.ts';
import { parquetOf } from '../support/parquet.ts';
import { cli } from '../support/run-cli.ts';
import { testRuntime } from '../support/runtime.ts';

const BASE = 'examples/stories260K';
const LORA = { r: 4, lora_alpha: 8, target_modules: ['q_proj', 'v_proj', 'down_proj'] };
const folder = await temporaryDirectory();
/** As data sets of the hub come: Parquet, written by another program. */
const rows = `${folder}/rows.parquet`;
const firstRows = readFileSync('examples/quickstart/eval.jsonl', 'utf8').split('\n').slice(0, 4);
writeFileSync(rows, await parquetOf(firstRows.map((row) => JSON.parse(row))));

async function run(name: string, changes: Readonly<Record<string, unknown>>) {
  const steps: Metrics[] = [];
  const config = trainConfigFrom({
    model: { path: BASE },
    objective: 'dpo',
    data: { train: rows, max_length: 96 },
    training: { learning_rate: 3e-3, max_steps: 2, per_device_train_batch_size: 4, warmup_ratio: 0 },
    output_dir: `${folder}/${name}`,
    ...changes,
  });
  const summary: RunSummary = await train(testRuntime(), config, {
    step: ({ metrics }) => steps.push(metrics),
  });
  expect(summary.outcome).toBe('finished');
  return { steps, model: `${folder}/${name}/model` };
}

let sft = '';
beforeAll(async () => {
  sft = (await run('sft', { objective: 'sft', lora: LORA })).model;
});

/** DPO at its reference: ln 2, and no reward. */
function expectAtReference({ loss, ...metrics }: Metrics): void {
  expectClose([loss], [Math.log(2)], 1e-5, 'loss');
  expect(metrics['rewards/chosen']).toBe(0);
  expect(metrics['rewards/rejected']).toBe(0);
}

async function scores(...options: string[]): Promise<{ rewards: number[]; logps: number[] }[]> {
  const out = `${folder}/scores-${options.join('-').replaceAll('/', '_')}.jsonl`;
  const { code, stderr } = await cli(
    'score',
    '--data',
    rows,
    '--max-length',
    '256',
    '--out',
    out,
    ...options,
  );
  expect(code, stderr).toBe(0);
  const lines = readFileSync(out, 'utf8').trim().split('\n');
  // A row that is left out has a line that says why.
  return lines
    .map((line) => JSON.parse(line))
    .flatMap(({ chosen }) => (chosen === undefined ? [] : [chosen]));
}

describe('the reference of a run on an adapter is base and adapter as they were loaded', () => {
  it.each(['precompute', 'in_step'] as const)('rewards are exactly 0 at the first step: %s', async (mode) => {
    const { steps } = await run(`reference-${mode}`, {
      model: { path: BASE, adapter: sft },
      reference: { mode },
    });
    expectAtReference(steps[0]);
    expect(steps[1]['rewards/chosen']).not.toBe(0);
  });

  it('the bare base is named where it is wanted', async () => {
    const { steps } = await run('bare', { model: { path: BASE, adapter: sft }, reference: { model: BASE } });
    expect(steps[0]['rewards/chosen']).not.toBe(0);
  });

  it('an adapter of its own may be the reference of a model without one', async () => {
    const { steps } = await run('own', { reference: { adapter: sft } });
    expect(steps[0]['rewards/chosen']).not.toBe(0);
  });

  it('merge_and_new trains a new adapter on the merged model', async () => {
    const { steps, model } = await run('merge-and-new', {
      model: { path: sft, adapter_mode: 'merge_and_new' },
      lora: { r: 2, lora_alpha: 4, target_modules: ['k_proj'] },
    });
    expectAtReference(steps[0]);
    const { path, adapter } = await locateModel(testRuntime().files, model);
    expect(path).toBe(`${folder}/merge-and-new/merged-base`);
    expect(adapter).toBe(model);
    const [merged] = await scores('--model', path);
    const [both] = await scores('--model', BASE, '--adapter', sft);
    expectClose(merged.logps, both.logps, 1e-4, 'log-probs of the merged base');
  });
});

describe('from Parquet to a merged model: SFT, DPO on top, score, merge, generate', () => {
  it('keep one model from end to end', async () => {
    const { model } = await run('dpo', { model: { path: BASE, adapter: sft } });
    const apart = await scores('--model', model, '--reference-adapter', sft);
    expect(apart[0].rewards.some((reward) => reward !== 0)).toBe(true);
    const same = await scores('--model', BASE, '--adapter', model, '--reference', model);
    expect(same[0].rewards.every((reward) => reward === 0)).toBe(true);

    const merged = `${folder}/new/merged`;
    expect((await cli('merge', '--adapter', model, '--out', merged)).code).toBe(0);
    expect(existsSync(`${merged}/tokenizer.json`)).toBe(true);
    const whole = await scores('--model', merged);
    for (const [i, { logps }] of whole.entries())
      expectClose(logps, apart[i].logps, 1e-4, `log-probs of row ${i}`);

    const text = async (...options: string[]) => {
      const { code, stdout } = await cli(
        'generate',
        '--prompt',
        'Once upon a time',
        '--max-new-tokens',
        '8',
        ...options,
      );
      expect(code).toBe(0);
      return stdout;
    };
    expect(await text('--model', merged)).toBe(await text('--model', model));
    const again = await cli('merge', '--model', BASE, '--adapter', model, '--out', merged);
    expect(again.code).toBe(2);
    expect(again.stderr).toContain('is there already');
  });
});

describe('what is wrong with an adapter', () => {
  const { files } = testRuntime();

  it('a lora group that asks for another adapter than the one that goes on', async () => {
    await expect(run('other', { model: { path: BASE, adapter: sft }, lora: { r: 16 } })).rejects.toThrow(
      /has r 4, lora_alpha 8.*merge_and_new/,
    );
  });

  it('an adapter on an adapter', async () => {
    await expect(locateModel(files, sft, sft)).rejects.toThrow(/a second one on top/);
  });

  it('a base that is nowhere says what to give', async () => {
    const lost = `${folder}/lost`;
    await files.makeDirectory(lost);
    writeFileSync(`${lost}/adapter_config.json`, JSON.stringify({ base_model_name_or_path: '/models/gone' }));
    await expect(locateModel(files, lost)).rejects.toThrow(
      /models\/gone is no model directory here.*Give the directory/,
    );
    writeFileSync(`${lost}/adapter_config.json`, '{}');
    await expect(locateModel(files, lost)).rejects.toThrow(/does not say on which model/);
  });
});
