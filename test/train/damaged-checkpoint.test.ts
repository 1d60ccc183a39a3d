/** A checkpoint is checked before a run continues from it: one that is damaged ends with an InputError, and nothing changes. */
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.ts';
import { MemoryFiles } from '../../src/runtime/memory-files.ts';
import { nodeFiles } from '../../src/runtime/node-files.ts';
import { trainConfigFrom } from '../../src/train/config.ts';
import { isFinished } from '../../src/train/run-checkpoint.ts';
import { train } from '../../src/train/train.ts';
import { readTrainerState } from '../../src/train/trainer-state.ts';
import { testRuntime } from '../support/runtime.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-damaged-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const configFor = (name: string, changes: Record<string, unknown> = {}) =>
  trainConfigFrom({
    model: { path: 'examples/stories260K' },
    objective: 'simpo',
    data: { train: join(folder, 'rows.jsonl'), max_length: 96 },
    training: { max_steps: 3, per_device_train_batch_size: 2, logging_steps: 1, save_steps: 1 },
    output_dir: join(folder, name),
    ...changes,
  });

/** Runs that stop after `steps` steps. */
const stopping = (steps: number, notes: string[] = []) => {
  let asked = 0;
  return { shouldStop: () => ++asked >= steps, note: (line: string) => void notes.push(line) };
};
const rows = () => readFileSync('examples/quickstart/train.jsonl', 'utf8').split('\n').slice(0, 4);

beforeAll(async () => {
  writeFileSync(join(folder, 'rows.jsonl'), rows().join('\n'));
  await train(testRuntime(), configFor('good'), stopping(2));
});

type State = Record<string, unknown> & { tensorboard: Record<string, unknown> };
const statePath = (name: string) => join(folder, name, 'checkpoint-2/trainer_state.json');
const stateOf = (name: string) => JSON.parse(readFileSync(statePath(name), 'utf8')) as State;

/** Contents of all files of a run, without its lock. */
const contents = (name: string) =>
  Object.fromEntries(
    readdirSync(join(folder, name), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => [path, readFileSync(path).toString('base64')]),
  );

let copies = 0;
/** Resumes a copy of the good run after `damage`; says why not. */
async function refusal(damage: (name: string) => void, changes: Record<string, unknown> = {}) {
  const name = `copy-${copies++}`;
  cpSync(join(folder, 'good'), join(folder, name), { recursive: true });
  damage(name);
  const before = contents(name);
  const failure = await train(testRuntime(), configFor(name, changes), {}, { resume: true }).catch((e) => e);
  expect(failure).toBeInstanceOf(InputError);
  expect(contents(name)).toEqual(before);
  return (failure as InputError).message;
}

function edit(change: (state: State) => void): (name: string) => void {
  return (name) => {
    const state = stateOf(name);
    change(state);
    writeFileSync(statePath(name), JSON.stringify(state));
  };
}

describe('trainer_state.json', () => {
  const wrong: [key: string, value: unknown][] = [
    ...['1', -1, 0.5, 1e300, null, undefined, 1].map((value) => ['global_step', value] as [string, unknown]),
    ...['0', -1, 0.5, null, undefined].map((value) => ['metrics_offset', value] as [string, unknown]),
    ...['../victim.tfevents', 'a/tfevents', '..', '', 'a\\tfevents', 'victim', 7].map(
      (file) => ['tensorboard', { file, offset: 0 }] as [string, unknown],
    ),
    ['tensorboard', { file: 'events.out.tfevents.1', offset: -1 }],
    ['tensorboard', null],
    ['objective_state', { beta: 'x' }],
    ['objective_state', []],
    ['kernel_choices', { product: 1 }],
    ['kernel_choices', 'plain'],
    ['config', 'none'],
    ['config', undefined],
  ];
  it.each(wrong)('is refused where %s is %j', async (key, value) => {
    const files = new MemoryFiles();
    const path = 'run/checkpoint-2/trainer_state.json';
    files.add(path, JSON.stringify({ ...stateOf('good'), [key]: value }));
    const read = readTrainerState(files, 'run/checkpoint-2');
    await expect(read).rejects.toThrow(InputError);
    await expect(read).rejects.toThrow(`${path} is damaged`);
    await expect(read).rejects.toThrow(key);
  });

  it('is accepted where it was written anew with the same values, in any order', async () => {
    const files = new MemoryFiles();
    const entries = Object.entries(stateOf('good')).reverse();
    files.add('run/checkpoint-2/trainer_state.json', JSON.stringify(Object.fromEntries(entries)));
    expect(await readTrainerState(files, 'run/checkpoint-2')).toEqual(stateOf('good'));
  });
});

describe('resuming is refused, and changes nothing, where', () => {
  it('the log would be cut before lines of steps that are done', async () => {
    const message = await refusal(edit((state) => Object.assign(state, { metrics_offset: 0 })));
    expect(message).toMatch(/metrics\.jsonl: .*at byte 0, but a line of step 1 follows/);
  });

  it('the log would be cut inside of a line', async () => {
    const message = await refusal(edit((state) => Object.assign(state, { metrics_offset: 20 })));
    expect(message).toMatch(/inside of a line/);
  });

  it('a tensor has one wrong bit', async () => {
    const message = await refusal((name) => {
      const path = join(folder, name, 'checkpoint-2/optimizer.safetensors');
      const bytes = readFileSync(path);
      bytes[bytes.length - 1000] ^= 1;
      writeFileSync(path, bytes);
    });
    expect(message).toMatch(/optimizer\.safetensors: \S+ is damaged, its checksum/);
  });

  it('the objective carries something else', async () => {
    const message = await refusal(edit((state) => Object.assign(state, { objective_state: { beta: 1 } })));
    expect(message).toMatch(/objective_state has beta, but the objective carries nothing/);
  });

  it('the rows have changed under the same path', async () => {
    const path = join(folder, 'rows.jsonl');
    writeFileSync(path, rows().reverse().join('\n'));
    const message = await refusal(() => {});
    writeFileSync(path, rows().join('\n'));
    expect(message).toMatch(/belongs to another run.*\n.*data\.train/);
  });
});

describe('a run without a checkpoint', () => {
  it('starts anew with --resume, says so, and is finished when its model is there', async () => {
    const notes: string[] = [];
    const config = configFor('early');
    const killed = train(testRuntime(), config, {
      start: () => {
        throw new Error('killed');
      },
    });
    await expect(killed).rejects.toThrow('killed');
    expect(await isFinished(nodeFiles, config)).toBe(false);
    const hooks = { note: (line: string) => void notes.push(line) };
    const summary = await train(testRuntime(), config, hooks, { resume: true });
    expect(summary).toMatchObject({ outcome: 'finished', step: 3 });
    expect(notes).toContain(`${config.output_dir} holds no checkpoint yet: the run starts anew.`);
    expect(await isFinished(nodeFiles, config)).toBe(true);
    const longer = { ...config, training: { ...config.training, max_steps: 5 } };
    expect(await isFinished(nodeFiles, longer)).toBe(false);
  });
});

describe('an output directory that is removed during the run', () => {
  it('ends with what was lost', async () => {
    const config = configFor('removed', { training: { max_steps: 2 } });
    const hooks = { start: () => rmSync(config.output_dir, { recursive: true }) };
    await expect(train(testRuntime(), config, hooks)).rejects.toThrow(/was removed while the run went on/);
    expect(existsSync(join(config.output_dir, 'metrics.jsonl'))).toBe(false);
  });
});

describe('a base model that is removed during the run', () => {
  it('is missed by nobody: checkpoints and model are written whole', async () => {
    const base = join(folder, 'base');
    cpSync('examples/stories260K', base, { recursive: true });
    const config = configFor('orphan', { model: { path: base } });
    const summary = await train(testRuntime(), config, { start: () => rmSync(base, { recursive: true }) });
    expect(summary.outcome).toBe('finished');
    for (const name of ['checkpoint-2', 'model'])
      expect(readdirSync(join(config.output_dir, name))).toEqual(
        expect.arrayContaining([
          'config.json',
          'generation_config.json',
          'tokenizer.json',
          'model.safetensors',
        ]),
      );
  });
});
