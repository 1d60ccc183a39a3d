/** An output directory that holds a run: it is left alone, replaced with --force, or gone on with beyond its end. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cli } from '../support/run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-earlier-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const out = join(folder, 'run');
const data = join(folder, 'rows.jsonl');
const file = join(folder, 'run.yaml');
const rows = readFileSync('examples/quickstart/train.jsonl', 'utf8').split('\n').slice(0, 4);
const train = (...args: string[]) => cli('train', file, ...args);

/** Names in the output directory, event files without their time. */
const names = () => readdirSync(out).map((name) => name.replace(/tfevents\..*/, 'tfevents'));

beforeAll(async () => {
  writeFileSync(data, rows.join('\n'));
  const config = {
    model: { path: 'examples/stories260K' },
    objective: 'simpo',
    data: { train: data, max_length: 96 },
    training: { max_steps: 2, per_device_train_batch_size: 2, save_steps: 1 },
    output_dir: out,
  };
  writeFileSync(file, JSON.stringify(config));
  const { code, stderr } = await train();
  expect(code, stderr).toBe(0);
});

describe('a directory with a run in it', () => {
  it('is exit 2, and names --resume and --force', async () => {
    const { code, stderr } = await train();
    expect(code).toBe(2);
    expect(stderr).toMatch(/is in use .*Continue that run with --resume, replace it with --force, or choose/);
    expect((await train('--resume', '--force')).stderr).toContain('Give --resume or --force, not both.');
  });

  it('goes on beyond its end: its model is set aside, so that it is finished when the longer run is', async () => {
    const longer = ['--set', 'training.max_steps=4'];
    writeFileSync(join(out, 'metrics.before'), readFileSync(join(out, 'metrics.jsonl')));
    const { code, stderr } = await train('--resume', ...longer);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain(`The model that this run ended with before is in ${out}/previous-model.`);
    expect(names()).toEqual(expect.arrayContaining(['checkpoint-3', 'model', 'previous-model']));
    expect((await train('--resume', ...longer)).stderr).toMatch(/^The run is finished: its model is in/);
    // As if the longer run had been killed before it wrote its model.
    rmSync(join(out, 'model'), { recursive: true });
    const again = await train('--resume', ...longer);
    expect(again.stderr).toContain('Resuming after step 3 of 4.');
    expect(existsSync(join(out, 'model'))).toBe(true);
  });

  it('keeps it under --force while anything is wrong with the new one', async () => {
    const before = names();
    expect((await train('--force', '--set', 'training.max_steps=none')).code).toBe(2);
    writeFileSync(data, `${`${rows.join('\n')}\n`.repeat(60)}{"prompt": 1}\n`);
    const { code, stderr } = await train('--force');
    expect(code).toBe(2);
    expect(stderr).toContain('rows.jsonl:241');
    expect(names()).toEqual(before);
    writeFileSync(data, rows.join('\n'));
  });

  it('is replaced with --force, but for what no run wrote', async () => {
    writeFileSync(join(out, 'notes.txt'), 'mine');
    const { code, stderr } = await train('--force', '--set', 'training.max_steps=1');
    expect(code, stderr).toBe(0);
    expect(names()).toEqual([
      'config.yaml',
      'events.out.tfevents',
      'metrics.before',
      'metrics.jsonl',
      'model',
      'notes.txt',
      'run.json',
    ]);
  });
});

describe('a directory without a run', () => {
  it('is not replaced', async () => {
    const other = join(folder, 'other');
    mkdirSync(join(other, 'model'), { recursive: true });
    writeFileSync(join(other, 'thesis.tex'), '');
    const { code, stderr } = await train('--force', '--set', `output_dir=${other}`);
    expect(code).toBe(2);
    expect(stderr).toContain(`${other} is not the directory of a run, which --force would replace`);
    expect(readdirSync(other)).toEqual(['model', 'thesis.tex']);
  });
});
