import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { configKeys } from '../../src/cli/config-keys.ts';
import type { Cli } from '../../src/cli/context.ts';
import { reportFailure } from '../../src/cli/failure.ts';
import { buildProgram, runCli } from '../../src/cli/program.ts';
import { InputError, RunError } from '../../src/errors.ts';
import { objectives, tokenWeights } from '../../src/objectives/registry.ts';
import { MemoryFiles } from '../../src/runtime/memory-files.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';

const PAIR = { prompt: 'Once', chosen: ' a cat.', rejected: ' a dog.' };
const CONFIG = `model: {path: examples/stories260K}
objective: dpo
data:
  train: pairs.jsonl
  max_length: 512
output_dir: out
`;

/** A command line whose output is kept. */
interface Captured extends Cli {
  stdout: string;
  stderr: string;
}

/** Files in memory, with the real model of the examples beside them. */
async function machine(files: Record<string, string> = {}): Promise<Captured> {
  const memory = new MemoryFiles();
  const disk = nodeRuntime();
  for (const name of ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json']) {
    const source = await disk.files.open(`examples/stories260K/${name}`);
    memory.add(`examples/stories260K/${name}`, await source.readRange(0, source.size));
    await source.close();
  }
  const all = { 'run.yaml': CONFIG, 'pairs.jsonl': `${JSON.stringify(PAIR)}\n`, ...files };
  for (const [path, text] of Object.entries(all)) memory.add(path, text);
  const cli: Captured = {
    stdout: '',
    stderr: '',
    out(text) {
      cli.stdout += text;
    },
    err(text) {
      cli.stderr += text;
    },
    terminal: undefined,
    runtime: async () => ({ ...disk, files: memory }),
    exitCode: 0,
  };
  return cli;
}

describe('validate', () => {
  it('says what it found in a run that can start', async () => {
    const cli = await machine();
    expect(await runCli(['validate', 'run.yaml'], cli)).toBe(0);
    expect(cli.stdout).toContain('run.yaml is valid.');
    expect(cli.stdout).toContain('vocabulary 512, 512 positions');
    expect(cli.stdout).toContain('pairs.jsonl: 1 rows read as trl');
  });

  it('reports a missing model, missing data and a used directory together', async () => {
    const cli = await machine({ 'out/model.safetensors': 'x' });
    const args = ['validate', 'run.yaml', '--set', 'model.path=nowhere', '--set', 'data.train=none.jsonl'];
    expect(await runCli(args, cli)).toBe(2);
    expect(cli.stderr).toContain('--set model.path: model.path: nowhere: there is no such directory');
    expect(cli.stderr).toContain(
      'none.jsonl: there is no such file. Relative paths start at the current directory',
    );
    expect(cli.stderr).toContain('run.yaml:6:1: output_dir: out is in use (model.safetensors)');
  });

  it('lets a run that is continued use its directory', async () => {
    const cli = await machine({ 'out/model.safetensors': 'x' });
    expect(await runCli(['validate', 'run.yaml', '--resume'], cli)).toBe(0);
  });

  it('reads the first rows of the data', async () => {
    const cli = await machine({ 'pairs.jsonl': `${JSON.stringify(PAIR)}\n{"prompt": "x", "chosen": ""}\n` });
    expect(await runCli(['validate', 'run.yaml'], cli)).toBe(2);
    expect(cli.stderr).toContain('run.yaml:4:3: data.train: pairs.jsonl:2: ');
  });

  it('warns of a rate that is too low for an adapter', async () => {
    const cli = await machine();
    const lora = ['--set', 'lora.r=4', '--set', 'training.learning_rate=5e-7'];
    expect(await runCli(['validate', 'run.yaml', ...lora], cli)).toBe(0);
    expect(cli.stderr).toMatch(/^Warning: training\.learning_rate: 5e-7 .* hardly moves a new adapter/);
    const high = await machine();
    await runCli(['validate', 'run.yaml', '--set', 'lora.r=4', '--set', 'training.learning_rate=5e-5'], high);
    expect(high.stderr).toBe('');
  });

  it("refuses a max_length above the model's positions", async () => {
    const cli = await machine();
    expect(await runCli(['validate', 'run.yaml', '--set', 'data.max_length=513'], cli)).toBe(2);
    expect(cli.stderr).toContain("data.max_length: 513 is more than the model's 512 positions");
  });
});

describe('preview', () => {
  it('shows tokens and marks those that differ', async () => {
    const cli = await machine();
    expect(await runCli(['preview', 'run.yaml'], cli)).toBe(0);
    expect(cli.stdout).toContain(
      'pairs.jsonl:1: trl, plain text\n  prompt, 2 tokens, no loss\n    1:"<s>" 403:" Once"',
    );
    expect(cli.stdout).toMatch(
      /chosen, 5 tokens, all in the loss, \d marked \* differ\n.* \*\d+:.*2:"<\/s>"/,
    );
  });
});

describe('objectives', () => {
  it('lists every method with formula, settings and paper, and the token weights', async () => {
    const cli = await machine();
    expect(await runCli(['objectives'], cli)).toBe(0);
    for (const { name, formula } of tokenWeights)
      expect(cli.stdout).toContain(`token_weights: ${name}\n  weight    ${formula}`);
    for (const { name, formula, paper } of objectives) {
      expect(cli.stdout).toContain(`${name}\n  loss      ${formula}\n  paper     ${paper}`);
    }
    expect(cli.stdout).toContain('tau: a whole number');
  });

  it('lists as JSON', async () => {
    const cli = await machine();
    await runCli(['objectives', '--json'], cli);
    const listed = JSON.parse(cli.stdout) as { name: string; needs: { reference: string } }[];
    expect(listed.map((o) => o.name)).toEqual(objectives.map((o) => o.name));
    expect(listed.find((o) => o.name === 'epsilon-dpo')?.needs.reference).toBe('logits');
  });

  it('wants a place for the results of --evaluate', async () => {
    expect(await runCli(['objectives', '--evaluate', 'in.json'], await machine())).toBe(2);
  });
});

describe('help', () => {
  it('explains every command: a paragraph, examples, exit codes, and every option', async () => {
    const cli = await machine();
    for (const command of buildProgram(cli).commands) {
      cli.stdout = '';
      expect(await runCli([command.name(), '--help'], cli)).toBe(0);
      expect(cli.stdout).toMatch(/Examples?:\n {2}prefgrad /);
      expect(cli.stdout).toContain('Exit codes: 0 done');
      expect(cli.stdout).toContain('--device <NAME|INDEX>');
      expect(command.description().length).toBeGreaterThan(100);
      for (const option of command.options.filter(({ hidden }) => !hidden)) {
        expect(cli.stdout).toContain(option.long);
        expect(option.description).not.toBe('');
      }
    }
  });

  it('of train describes every key of the configuration', async () => {
    const cli = await machine();
    await runCli(['train', '--help'], cli);
    expect(configKeys().length).toBeGreaterThan(40);
    for (const { key, description } of configKeys()) {
      expect(description).not.toBe('');
      expect(cli.stdout).toContain(`  ${key}`);
      expect(cli.stdout).toContain(description);
    }
  });
});

describe('exit codes', () => {
  it.each([
    [new InputError('wrong row'), 2, 'prefgrad: wrong row\n'],
    [new RunError('disk full'), 1, 'prefgrad: disk full\n'],
  ])('%s', (error, code, text) => {
    let written = '';
    expect(reportFailure(error, (t) => (written += t))).toBe(code);
    expect(written).toBe(text);
  });

  it('an error nobody foresaw is 1 and shows its stack', () => {
    let written = '';
    expect(reportFailure(new TypeError('oh'), (t) => (written += t))).toBe(1);
    expect(written).toContain('program.test.ts');
  });

  it('wrong usage is 2 and suggests', async () => {
    const cli = await machine();
    expect(await runCli(['trian'], cli)).toBe(2);
    expect(cli.stderr).toContain('Did you mean train?');
    expect(await runCli(['generate', '--model', 'm', '--temperature', 'hot'], cli)).toBe(2);
    expect(cli.stderr).toContain('Expected a number of at least 0.');
    expect(await runCli(['generate', '--model', 'examples/stories260K'], cli)).toBe(2);
    expect(cli.stderr).toContain('There is nothing to continue');
  });

  it('leave the process', () => {
    const bin = fileURLToPath(new URL('../../bin/prefgrad.js', import.meta.url));
    const { status, stderr } = spawnSync(process.execPath, [bin, 'validate', 'missing.yaml'], {
      encoding: 'utf8',
    });
    expect(status).toBe(2);
    expect(stderr).toBe(
      'prefgrad: missing.yaml: there is no such file or directory. Paths are relative to the directory you run in.\n',
    );
  });
});
