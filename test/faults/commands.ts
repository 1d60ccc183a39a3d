/** Commands on damaged files of a real file system: they accept or refuse, name the file, and write nothing. */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeSafetensors } from '../../src/formats/safetensors-writer.ts';
import { nodeFiles } from '../../src/runtime/node-files.ts';
import { cli } from '../support/run-cli.ts';
import { damagedBytes, damagedText } from './mutations.ts';

const SEED = 21;
const ADAPTED = 'base_model.model.model.layers.0.self_attn.q_proj';
const TEMPLATE = "{% for m in messages %}{{ m.role + ': ' + m.content + '\\n' }}{% endfor %}";

/** What takes the place of a file. */
const REPLACEMENTS = {
  nothing: () => {},
  empty: (path: string) => fs.writeFileSync(path, ''),
  zeros: (path: string) => fs.writeFileSync(path, new Uint8Array(64)),
  directory: (path: string) => fs.mkdirSync(path),
  'link to itself': (path: string) => fs.symlinkSync(path, path),
  pipe: (path: string) => execFileSync('mkfifo', [path]),
  'UTF-16': (path: string) => fs.writeFileSync(path, Buffer.from('\ufeff{"a": 1}', 'utf16le')),
  'broken gzip': (path: string) => fs.writeFileSync(path, Uint8Array.from([0x1f, 0x8b, 8, 0, 9, 9, 9])),
} as const;

/** The commands that read a file. */
const READERS: Readonly<Record<string, readonly (readonly string[])[]>> = {
  'm/config.json': [['validate', 'run.yaml'], MERGE()],
  'm/model.safetensors': [['validate', 'run.yaml'], MERGE()],
  'm/tokenizer.json': [
    ['validate', 'run.yaml'],
    ['preview', 'run.yaml'],
  ],
  'm/tokenizer_config.json': [['preview', 'run.yaml']],
  'a/adapter_config.json': [MERGE()],
  'a/adapter_model.safetensors': [MERGE()],
  'rows.jsonl': [
    ['validate', 'run.yaml'],
    ['preview', 'run.yaml'],
  ],
  'run.yaml': [['validate', 'run.yaml']],
  't.jinja': [['validate', 'run.yaml']],
  'r/config.yaml': RECORDS(),
  'r/run.json': RECORDS(),
  'r/metrics.jsonl': RECORDS(),
  'scores.jsonl': [['analyze', '--all', '--scores', 's=scores.jsonl', '--out', 'figures']],
};

function RECORDS(): readonly (readonly string[])[] {
  return [
    ['compare', 'r', 'again=r'],
    ['report', 'r', '--out', 'report.html'],
    ['analyze', '--all', '--run', 'r', '--out', 'figures'],
  ];
}

function MERGE(): readonly string[] {
  return ['merge', '--model', 'm', '--adapter', 'a', '--out', 'out'];
}

const PART = { text: ' a', token_ids: [261, 2], tokens: [' a', '</s>'], logps: [-1.6, -2.1], diff: [1, 0] };
const SCORES = {
  index: 0,
  file: 'rows.jsonl',
  line: 1,
  edit_distance: 1,
  prompt: { text: 'Once', token_ids: [1, 403] },
  chosen: PART,
  rejected: PART,
};

/** What a run of two steps leaves, without its model. */
function writeRun(directory: string): void {
  fs.mkdirSync(directory);
  const steps = [1, 2].map((step) => ({ step, loss: 0.7 / step, 'rewards/margins': 0.1 * step }));
  const after = { eval_loss: 0.5, 'eval_rewards/margins': 0.3 };
  const lines = [{ step: 0, eval_loss: 0.7 }, ...steps, { step: 2, ...after }];
  fs.writeFileSync(
    join(directory, 'metrics.jsonl'),
    lines.map((line) => `${JSON.stringify(line)}\n`).join(''),
  );
  const samples = [{ prompt: 'Once', before: ' a', after: ' b' }];
  const outcome = { outcome: 'finished', global_step: 2, wall_time_seconds: 1.5, after, samples };
  fs.writeFileSync(join(directory, 'run.json'), JSON.stringify(outcome));
  fs.writeFileSync(
    join(directory, 'config.yaml'),
    '# device: lavapipe\n\nmodel:\n  path: m\nobjective:\n  name: dpo\n  settings:\n    beta: 0.1\noutput_dir: r\n',
  );
}

/** Names, sizes and times of all files. */
function tree(folder: string): string[] {
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => `${relative(folder, path)} ${fs.lstatSync(path).mtimeMs} ${fs.lstatSync(path).size}`)
    .sort();
}

/** @param runs damaged files */
export function checkCommands(runs: number): void {
  describe('commands on damaged files', () => {
    const folder = fs.mkdtempSync(join(tmpdir(), 'prefgrad-commands-'));
    const before = process.cwd();
    afterAll(() => {
      process.chdir(before);
      fs.rmSync(folder, { recursive: true, force: true });
    });
    beforeAll(async () => {
      const whole = join(folder, 'whole');
      fs.cpSync('examples/stories260K', join(whole, 'm'), { recursive: true });
      const chat = (content: string) => [{ role: 'assistant', content }];
      const row = { prompt: [{ role: 'user', content: 'Once' }], chosen: chat('a'), rejected: chat('b') };
      fs.writeFileSync(join(whole, 'rows.jsonl'), `${JSON.stringify(row)}\n`.repeat(3));
      fs.writeFileSync(join(whole, 't.jinja'), TEMPLATE);
      writeRun(join(whole, 'r'));
      fs.writeFileSync(join(whole, 'scores.jsonl'), `${JSON.stringify(SCORES)}\n`.repeat(2));
      fs.writeFileSync(
        join(whole, 'run.yaml'),
        'model: {path: m}\nobjective: dpo\ndata:\n  train: rows.jsonl\n  chat_template: t.jinja\n  max_length: 64\noutput_dir: run\n',
      );
      fs.mkdirSync(join(whole, 'a'));
      const config = { peft_type: 'LORA', r: 2, lora_alpha: 4, target_modules: ['q_proj'] };
      fs.writeFileSync(join(whole, 'a/adapter_config.json'), JSON.stringify(config));
      const half = (name: string, shape: number[]) => ({
        name: `${ADAPTED}.${name}.weight`,
        dtype: 'F32',
        shape,
        read: () => [new Uint8Array(4 * 128)],
      });
      const sink = await nodeFiles.create(join(whole, 'a/adapter_model.safetensors'));
      await writeSafetensors(sink, [half('lora_A', [2, 64]), half('lora_B', [64, 2])]);
      await sink.close();
    });

    it.each([...new Set(Object.values(READERS).flat())])('whole ones are accepted: %s', async (...args) => {
      const place = join(folder, 'accepted');
      fs.cpSync(join(folder, 'whole'), place, { recursive: true });
      process.chdir(place);
      const { code, stderr } = await cli(...args);
      expect(code, stderr).toBe(0);
      process.chdir(before);
      fs.rmSync(place, { recursive: true });
    });

    it('are refused with their name, or mean what they say', async () => {
      const damage = fc.oneof(
        fc.constantFrom(...Object.keys(REPLACEMENTS)).map((name) => ({ name, seed: 0 })),
        fc.nat(1e6).map((seed) => ({ name: 'damage', seed: seed + 1 })),
      );
      const target = fc.constantFrom(...Object.keys(READERS));
      let count = 0;
      await fc.assert(
        fc.asyncProperty(target, damage, fc.nat(1), async (file, { name, seed }, pick) => {
          const place = join(folder, `run-${count++}`);
          fs.cpSync(join(folder, 'whole'), place, { recursive: true });
          const path = join(place, file);
          const contents = fs.readFileSync(path);
          fs.rmSync(path);
          const replace = REPLACEMENTS[name as keyof typeof REPLACEMENTS] as
            | ((p: string) => void)
            | undefined;
          if (replace !== undefined) replace(path);
          else fs.writeFileSync(path, damaged(file, contents, seed));
          const commands = READERS[file];
          const args = commands[pick % commands.length];
          const found = tree(place);
          process.chdir(place);
          const { code, stderr } = await cli(...args).finally(() => process.chdir(before));
          expect([0, 2], `${args.join(' ')}: ${stderr}`).toContain(code);
          expect(stderr).not.toMatch(/\n\s+at \S+ \(|unexpected error/);
          if (code === 2) {
            expect(stderr).toMatch(placeOf(file));
            expect(tree(place)).toEqual(found);
          }
          fs.rmSync(place, { recursive: true, force: true });
        }),
        { numRuns: runs, seed: SEED, timeout: 60_000, endOnFailure: true },
      );
    });
  });
}

/** The name of a file, or of the model or adapter that it belongs to. */
function placeOf(file: string): RegExp {
  const [folder, name = folder] = file.split('/');
  return new RegExp(`${name}|\\b${folder}[:/ ]`);
}

/** `contents` with bits flipped or pieces moved, by the seed. */
function damaged(file: string, contents: Buffer, seed: number): Uint8Array {
  if (file.endsWith('.safetensors')) return fc.sample(damagedBytes(contents), { numRuns: 1, seed })[0];
  const pieces = ['null', '-1', '1e999', ',', '[]', '{{', '*a'];
  return Buffer.from(fc.sample(damagedText(contents.toString(), pieces), { numRuns: 1, seed })[0]);
}
