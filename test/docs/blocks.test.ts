/**
 * What the pages and the help texts show is what there is: every option is one of its command, every configuration is
 * valid, every row is read, every program compiles, every link leads somewhere. docs.long.test.ts runs the commands.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { parseConfig } from '../../src/cli/config-file.ts';
import { buildProgram } from '../../src/cli/program.ts';
import { readRow } from '../../src/data/rows.ts';
import { parseCustomTask } from '../../src/evaluate/tasks/custom.ts';
import { endpointSettings } from '../../src/llm/settings.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import { scoreLine } from '../../src/score/record.ts';
import { BLOCKS, type Block, COMMANDS, type CommandLine, helpCommands, prefgradWords } from './pages.ts';

const of = (language: string, kind = '') =>
  BLOCKS.filter((block) => block.language === language && block.kind === kind);
const place = ({ page, line }: Block) => `${page}:${line}`;

/** The program, which reads a command line as ever and then does nothing. */
function parser(): Command {
  const program = buildProgram({
    out: () => {},
    err: () => {},
    terminal: undefined,
    runtime: async () => nodeRuntime(),
    exitCode: 0,
  });
  const disarm = (command: Command) => {
    command.action(() => {});
    command.commands.forEach(disarm);
  };
  program.commands.forEach(disarm);
  return program;
}

const HELP = helpCommands(parser());

describe('code blocks', () => {
  it('say what they are', () => {
    const known = new Set([
      'sh',
      'ts',
      'yaml',
      'yaml endpoint',
      'yaml task',
      'json',
      'json score',
      'jsonl',
      'text',
    ]);
    const others = BLOCKS.filter(({ language, kind }) => !known.has(`${language} ${kind}`.trim()));
    expect(others.map((block) => `${place(block)}: ${block.language || 'indented'}`)).toEqual([]);
  });

  it('are all run, but for these', () => {
    const left = BLOCKS.filter(({ notRun }) => notRun !== undefined);
    expect(left.map(({ page, notRun }) => `${page}: ${notRun}`)).toEqual([
      'docs/generate.md: lm-evaluation-harness is a Python package of its own; test/serve/server.test.ts sends the requests that it sends',
      'docs/gpu-box.md: needs a machine with a GPU; test/package/gpu-box.long.test.ts unpacks the folder and runs its commands',
    ]);
  });
});

describe('command lines', () => {
  const own = [...COMMANDS, ...HELP].filter((command) => prefgradWords(command) !== undefined);

  it('show every command', () => {
    const shown = new Set(own.map((command) => prefgradWords(command)?.[0]));
    const names = parser().commands.map((command) => command.name());
    expect(names.filter((name) => !shown.has(name))).toEqual([]);
  });

  it.each(own)('$where: $text', async (command) => {
    await parser().parseAsync([...(prefgradWords(command) ?? [])], { from: 'user' });
    expect(missingFiles(command)).toEqual([]);
  });

  const others = COMMANDS.filter((command) => prefgradWords(command) === undefined);

  it.each(others.filter(({ words }) => ['npm', 'npx'].includes(words[0])))('$where: $text', (command) => {
    expect(knownScripts()).toContain(scriptOf(command));
  });

  it('are of no program that a reader would have to guess', () => {
    const known = new Set([
      'npm',
      'npx',
      'curl',
      'lm_eval',
      './bench.sh',
      'node',
      'git',
      'cd',
      'tar',
      'export',
      'mpirun',
      'srun',
      'docker',
      'mkdir',
    ]);
    expect(
      others.filter(({ words }) => !known.has(words[0])).map(({ where, text }) => `${where}: ${text}`),
    ).toEqual([]);
  });
});

/** Files of examples that a line names and that there are not. */
function missingFiles({ text }: CommandLine): string[] {
  return [...text.matchAll(/(?<=[\s:="])(?:examples|docs|test)\/[\w./-]+/g)]
    .map(([file]) => file)
    .filter((file) => !existsSync(file));
}

function scriptOf({ words }: CommandLine): string {
  const [program, verb, name] = words;
  if (program === 'npx') return `${verb} ${name} ${words[3]}`;
  return verb === 'run' ? `npm run ${name}` : `npm ${verb}`;
}

function knownScripts(): string[] {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
  const { tasks } = JSON.parse(readFileSync('deno.json', 'utf8')) as { tasks: Record<string, string> };
  const programs = ['npx vitest run test/ops', 'npm install', 'npm test'];
  return [
    ...programs,
    ...Object.keys(scripts).map((name) => `npm run ${name}`),
    ...Object.keys(tasks).map((name) => `deno task ${name}`),
  ];
}

/** What a part of a configuration is put into. */
const WHOLE = { model: { path: 'm' }, objective: 'dpo', data: { train: 'd.jsonl' }, output_dir: 'o' };

/** `part` over `whole`, group by group. */
function over(whole: object, part: object): object {
  return Object.fromEntries(
    Object.entries({ ...whole, ...part }).map(([key, value]) => {
      const below = (whole as Record<string, unknown>)[key];
      const isGroup = [below, value].every((side) => typeof side === 'object' && side !== null);
      return [key, isGroup ? { ...(below as object), ...(value as object) } : value];
    }),
  );
}

describe('files', () => {
  it.each(of('yaml').map((block) => [place(block), block] as const))(
    '%s: a configuration',
    (where, { text }) => {
      parseConfig(JSON.stringify(over(WHOLE, parse(text) as object)), where);
    },
  );

  it.each(of('yaml', 'endpoint').map((block) => [place(block), block] as const))(
    '%s: an endpoint',
    (_, { text }) => {
      endpointSettings.parse(parse(text));
    },
  );

  it.each(of('yaml', 'task').map((block) => [place(block), block] as const))(
    '%s: a task',
    (where, { text }) => {
      parseCustomTask(text, where);
    },
  );

  it.each(of('json').map((block) => [place(block), block] as const))('%s: JSON', (_, { text }) => {
    JSON.parse(text);
  });

  it.each(of('json', 'score').map((block) => [place(block), block] as const))(
    '%s: a line of scores',
    (_, { text }) => {
      scoreLine.parse(JSON.parse(text));
    },
  );

  it.each(of('jsonl').map((block) => [place(block), block] as const))('%s: rows', (file, { text }) => {
    for (const [i, line] of text.trimEnd().split('\n').entries())
      readRow({ file, line: i + 1, value: JSON.parse(line) }, { format: 'auto', expects: 'either' });
  });
});

describe('programs', () => {
  it('compile against the types of the package, strictly', () => {
    const folder = mkdtempSync(join(tmpdir(), 'prefgrad-docs-'));
    try {
      symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
      const programs = of('ts');
      expect(programs.length).toBeGreaterThan(2);
      for (const [i, { text }] of programs.entries())
        writeFileSync(join(folder, `program-${i}.ts`), `${text}export {};\n`);
      const compilerOptions = {
        paths: { prefgrad: [resolve('src/index.ts')] },
        noUnusedLocals: false,
      };
      const config = { extends: resolve('tsconfig.json'), compilerOptions, include: ['*.ts'] };
      writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
      const { stdout } = spawnSync(resolve('node_modules/.bin/tsc'), ['-p', folder], { encoding: 'utf8' });
      const named = stdout.replaceAll(/\S*program-(\d+)\.ts/g, (_, i: string) => place(programs[Number(i)]));
      expect(named).toBe('');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
