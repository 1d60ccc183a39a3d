/** What befalls a process from outside: signals, readers that go away, disks that are full or only read, clocks that jump. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { cli } from '../support/run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-process-'));
const program = `"${process.execPath}" "${resolve('bin/prefgrad.js')}"`;
const MODEL = resolve('examples/stories260K');
const isRoot = process.getuid?.() === 0;

afterAll(() => rmSync(folder, { recursive: true, force: true }));

beforeAll(() => {
  // Readable to the user that the test becomes below.
  chmodSync(folder, 0o755);
  const rows = readFileSync('examples/quickstart/train.jsonl', 'utf8').split('\n').slice(0, 60);
  writeFileSync(join(folder, 'rows.jsonl'), `${rows.join('\n')}\n`);
  const config = {
    model: { path: MODEL },
    objective: 'simpo',
    data: { train: join(folder, 'rows.jsonl'), max_length: 96 },
    training: { max_steps: 4, per_device_train_batch_size: 2, save_steps: 2 },
    output_dir: join(folder, 'run'),
  };
  writeFileSync(join(folder, 'run.yaml'), JSON.stringify(config));
});

const rows = () => join(folder, 'rows.jsonl');
const train = (out: string, ...args: string[]) =>
  cli('train', join(folder, 'run.yaml'), '--set', `output_dir=${out}`, ...args);
const shell = (command: string) =>
  spawnSync('bash', ['-o', 'pipefail', '-c', command], { encoding: 'utf8', cwd: folder });

/** No stack, and no word of an error that nobody foresaw. */
const expectSentence = (stderr: string) => expect(stderr).not.toMatch(/\n\s+at |unexpected error/);

describe('a terminal that is closed', () => {
  it('lets a run finish its step and write a checkpoint, from which it goes on', async () => {
    const out = join(folder, 'hung-up');
    const args = ['train', 'run.yaml', '--set', `output_dir=${out}`, '--set', 'training.logging_steps=1'];
    const long = ['--set', 'training.max_steps=100000', '--set', 'training.save_steps=100000'];
    const child = spawn(process.execPath, [resolve('bin/prefgrad.js'), ...args, ...long], { cwd: folder });
    await said(child, /step 1\/100000/);
    // Nobody reads any more; then the hangup itself.
    child.stdout.destroy();
    child.stderr.destroy();
    await grown(join(out, 'metrics.jsonl'));
    child.kill('SIGHUP');
    expect(await new Promise((done) => child.once('exit', done))).toBe(130);
    const [checkpoint] = readdirSync(out).filter((name) => name.startsWith('checkpoint-'));
    const step = Number(checkpoint.split('-')[1]);
    const { code, stderr } = await train(out, '--resume', '--set', `training.max_steps=${step + 1}`);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain(`Resuming after step ${step} of ${step + 1}.`);
  });
});

/** Waits until stderr has said this. */
function said(child: ChildProcess, wanted: RegExp): Promise<void> {
  return new Promise((done, fail) => {
    let text = '';
    child.stderr?.on('data', (chunk) => {
      text += chunk;
      if (wanted.test(text)) done();
    });
    child.once('exit', () => fail(new Error(`ended without ${wanted}:\n${text}`)));
  });
}

/** Waits until a file is longer than it is. */
async function grown(path: string): Promise<void> {
  const size = () => readFileSync(path).length;
  const before = size();
  while (size() === before) await new Promise((next) => setTimeout(next, 20));
}

describe('a reader that goes away', () => {
  it('of what a command prints: the command ends as ever', () => {
    const { status, stdout, stderr } = shell(`${program} objectives | head -n 1`);
    expect([status, stdout, stderr]).toEqual([0, expect.stringMatching(/^\w+\n$/), '']);
  });

  it('of rows: exit 1 and a sentence', () => {
    const score = `${program} score --model "${MODEL}" --data rows.jsonl --max-length 96 --out /dev/stdout`;
    const { status, stdout, stderr } = shell(`${score} | head -n 1`);
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ index: 0 });
    expect(stderr).toContain(
      'prefgrad: /dev/stdout: whoever read it has gone; what is left was not written.',
    );
    expectSentence(stderr);
  });
});

describe.skipIf(process.platform !== 'linux')('a full disk', () => {
  const commands: [command: string, args: () => string[]][] = [
    ['score', () => ['--model', MODEL, '--data', rows(), '--max-rows', '2']],
    ['generate', () => ['--model', MODEL, '--prompts', rows(), '--max-new-tokens', '2']],
    ['init', () => ['dpo']],
  ];
  it.each(commands)(
    'under the output of %s: exit 1, what to do, and /dev/full is still a device',
    async (name, args) => {
      const { code, stderr } = await cli(name, ...args(), '--out', '/dev/full');
      expect(code).toBe(1);
      expect(stderr).toContain('prefgrad: /dev/full: the disk is full. Free some space and run again');
      expectSentence(stderr);
      expect(lstatSync('/dev/full').isCharacterDevice()).toBe(true);
    },
  );

  it('under what a command prints: exit 1 and a sentence', () => {
    const { status, stderr } = shell(`${program} objectives > /dev/full`);
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(/^prefgrad: standard output: ENOSPC: no space left on device, write\n$/),
    ]);
  });

  it('under what a run says: it goes on without being heard', () => {
    const { status } = shell(
      `${program} validate run.yaml --set training.learning_rate=1e-9 --set lora.r=2 2> /dev/full`,
    );
    expect(status).toBe(0);
  });
});

const disk = join(folder, 'disk');
const mount = (...args: string[]) => spawnSync('mount', args).status === 0;
/** Only root outside of a container may mount. */
const mayMount =
  isRoot && spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/tmp']).status === 0;

describe.skipIf(!mayMount)('a small disk', () => {
  const options = (mode: string) => ['-t', 'tmpfs', '-o', mode, 'none', disk];
  beforeAll(() => {
    mkdirSync(disk);
    expect(mount(...options('size=9m'))).toBe(true);
  });
  afterAll(() => void spawnSync('umount', [disk]));

  it('that is full: checkpoints stay whole, nothing half-written, --resume ends the run when there is space', async () => {
    const out = join(disk, 'run');
    const often = ['--set', 'training.save_steps=1'];
    const full = await train(out, ...often);
    expect(full.code).toBe(1);
    expect(full.stderr).toMatch(
      /prefgrad: .*: the disk is full. Free some space and run again with --resume\./,
    );
    expect(readdirSync(out).filter((name) => /\.(tmp|old|removed)$/.test(name))).toEqual([]);
    expect(mount('-o', 'remount,size=64m', disk)).toBe(true);
    const { code, stderr } = await train(out, ...often, '--resume');
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/Resuming after step \d of 4/);
    expect(existsSync(join(out, 'model'))).toBe(true);
  });

  it('that is only read: exit 2 and says so', async () => {
    expect(mount('-o', 'remount,ro', disk)).toBe(true);
    for (const run of [
      train(join(disk, 'new')),
      train(join(disk, 'run'), '--resume', '--set', 'training.max_steps=6'),
      cli('score', '--model', MODEL, '--data', rows(), '--out', join(disk, 'scores.jsonl')),
      cli('init', 'dpo', '--out', join(disk, 'dpo.yaml')),
      cli('report', join(disk, 'run'), '--out', join(disk, 'report.html')),
    ]) {
      const { code, stderr } = await run;
      expect(code).toBe(2);
      expect(stderr).toMatch(
        /prefgrad: .*: lies on a file system that is only read\. Choose another directory\./,
      );
    }
  });
});

describe.skipIf(process.platform === 'win32')('a directory in which nobody may write', () => {
  const closed = join(folder, 'closed');
  beforeAll(() => {
    mkdirSync(closed);
    cpSync(MODEL, join(folder, 'model'), { recursive: true });
    chmodSync(closed, 0o555);
    // Root may write everywhere.
    if (isRoot) process.seteuid?.(65534);
  });
  afterEach(() => void (isRoot && process.seteuid?.(0)));

  it('is exit 2, with the place and what to check', async () => {
    const model = ['--set', `model.path=${join(folder, 'model')}`];
    for (const run of [
      () => train(join(closed, 'run'), ...model),
      () => cli('init', 'dpo', '--out', join(closed, 'dpo.yaml')),
      () =>
        cli('score', '--model', join(folder, 'model'), '--data', rows(), '--out', join(closed, 's.jsonl')),
    ]) {
      const { code, stderr } = await run();
      expect(code).toBe(2);
      expect(stderr).toMatch(
        /closed\S*: not allowed\. Check the permissions of the file and its directory\./,
      );
    }
    expect(readdirSync(closed)).toEqual([]);
  });
});

describe('a lock that is a directory', () => {
  it('is exit 2 and named', async () => {
    const out = join(folder, 'locked');
    mkdirSync(join(out, '.lock'), { recursive: true });
    const { code, stderr } = await train(out);
    expect(code).toBe(2);
    expect(stderr).toContain(`${out}/.lock: is a directory, but a file was expected.`);
  });
});

describe('what vanishes between a run and its --resume', () => {
  it('is exit 2 and named, and the checkpoints stay', async () => {
    const out = join(folder, 'orphan');
    const data = join(folder, 'gone.jsonl');
    cpSync(rows(), data);
    const ours = ['--set', `data.train=${data}`];
    expect((await train(out, ...ours)).code).toBe(0);
    rmSync(data);
    const { code, stderr } = await train(out, ...ours, '--resume', '--set', 'training.max_steps=6');
    expect(code).toBe(2);
    expect(stderr).toContain(`${data}: there is no such file`);
    expect(readdirSync(out)).toEqual(expect.arrayContaining(['checkpoint-2', 'model']));
  });
});
