/** Code blocks of the pages, and the command lines in them and in the help texts, as the tests of this folder read them. */
import { readdirSync, readFileSync } from 'node:fs';
import type { Command } from 'commander';
import MarkdownIt from 'markdown-it';
import { parse } from 'shell-quote';

export interface Block {
  readonly page: string;
  /** Line of its first line of text, 1-based. */
  readonly line: number;
  /** First word behind the fence: sh, ts, yaml, json, jsonl or text; '' for an indented block. */
  readonly language: string;
  /** Second word: what a yaml or json block is, where that is no configuration and no plain JSON. */
  readonly kind: string;
  readonly text: string;
  /** Why it cannot run where the tests run, from a comment `<!-- not run: REASON -->` before the fence. */
  readonly notRun: string | undefined;
}

/** One simple command of a block or of a help text. */
export interface CommandLine {
  /** Where it stands: 'docs/start.md:12', or 'prefgrad train --help'. */
  readonly where: string;
  /** As it is written, continued lines joined, without its comment. */
  readonly text: string;
  /** Words as a shell hands them over. */
  readonly words: readonly string[];
  readonly notRun: string | undefined;
}

export const PAGES: readonly string[] = [
  'README.md',
  ...readdirSync('docs')
    .filter((name) => name.endsWith('.md'))
    .sort()
    .map((name) => `docs/${name}`),
];

const NOT_RUN = /^<!-- not run: (.+?) -->\s*$/;

export function blocksOf(page: string): Block[] {
  const tokens = new MarkdownIt({ html: true }).parse(readFileSync(page, 'utf8'), {});
  return tokens.flatMap(({ type, info, content, map }, i) => {
    if (type !== 'fence' && type !== 'code_block') return [];
    const [language = '', kind = ''] = info.trim().split(/\s+/);
    const before = tokens[i - 1];
    const notRun = before?.type === 'html_block' ? NOT_RUN.exec(before.content)?.[1] : undefined;
    return [{ page, line: (map?.[0] ?? 0) + 2, language, kind, text: content, notRun }];
  });
}

export const BLOCKS: readonly Block[] = PAGES.flatMap(blocksOf);

/** The commands of a block: lines that end in a backslash are joined, comments left out, `a && b` are two. */
export function commandsOf({ page, line, text, notRun }: Block): CommandLine[] {
  const found: CommandLine[] = [];
  const lines = text.trimEnd().split('\n');
  for (let i = 0; i < lines.length; i++) {
    const where = `${page}:${line + i}`;
    let whole = lines[i];
    while (whole.endsWith('\\')) whole = `${whole.slice(0, -1)} ${lines[++i].trim()}`;
    found.push(...simpleCommands(whole).map((command) => ({ ...command, where, notRun })));
  }
  return found;
}

function simpleCommands(line: string): Pick<CommandLine, 'text' | 'words'>[] {
  return withoutComment(line)
    .split(' && ')
    .map((text) => ({ text: text.trim(), words: wordsOf(text) }))
    .filter(({ words }) => words.length > 0);
}

function wordsOf(text: string): string[] {
  return parse(text).map((part) => {
    if (typeof part === 'string') return part;
    if ('op' in part && part.op === 'glob') return part.pattern;
    throw new Error(`${text}: ${JSON.stringify(part)} is more than a simple command`);
  });
}

/** A # outside of quotes, behind a space or at the start, begins a comment. */
function withoutComment(line: string): string {
  const comment = /^((?:[^'"#]|'[^']*'|"[^"]*"|(?<=\S)#)*)(?:(?<=\s|^)#.*)?$/.exec(line);
  return comment?.[1] ?? line;
}

export const COMMANDS: readonly CommandLine[] = BLOCKS.filter(({ language }) => language === 'sh').flatMap(
  commandsOf,
);

/** Words behind `prefgrad` or `npx prefgrad`; undefined for another program. */
export function prefgradWords({ words }: CommandLine): readonly string[] | undefined {
  const rest = words[0] === 'npx' ? words.slice(1) : words;
  return rest[0] === 'prefgrad' ? rest.slice(1) : undefined;
}

/** The examples in the help texts of a program and of its commands. */
export function helpCommands(program: Command, path = 'prefgrad'): CommandLine[] {
  let help = '';
  program.configureOutput({
    writeOut: (text) => {
      help += text;
    },
  });
  program.outputHelp();
  const lines = help
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line.startsWith('  prefgrad '));
  const own = lines.flatMap((line) =>
    simpleCommands(line).map((command) => ({
      ...command,
      where: `${path} --help`,
      notRun: undefined,
    })),
  );
  return [
    ...own,
    ...program.commands.flatMap((command) => helpCommands(command, `${path} ${command.name()}`)),
  ];
}
