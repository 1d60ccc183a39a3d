/** A copy of the repository as a clone has it, in which the lines of a page run as they are typed. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { type CommandLine, prefgradWords } from './pages.ts';

/** What is added to a line so that it ends within seconds; what the reader types stays as it is. */
const SMALLER: Readonly<Record<string, string>> = {
  train: '--set training.max_steps=2 --set data.max_rows=16',
  sweep: '--set training.max_steps=1 --set data.max_rows=8',
  generate: '--max-new-tokens 8',
  score: '--max-rows 4',
  rollout: '--max-tokens 8',
  'own-output': '--max-tokens 8',
  continue: '--max-tokens 8',
  serve: '--port 0',
  view: '--port 0',
};

/** The address that pages give to a server. */
const SERVER = 'http://127.0.0.1:8000';

export class FreshCopy {
  readonly folder = mkdtempSync(join(tmpdir(), 'prefgrad-fresh-'));
  readonly #servers: ChildProcess[] = [];
  readonly #smaller: Readonly<Record<string, string>>;
  #address = SERVER;
  #programs = 0;

  /** @param smaller - options of some commands that are added to every line of theirs, besides those of all pages */
  constructor(smaller: Readonly<Record<string, string>> = {}) {
    this.#smaller = { ...SMALLER, ...smaller };
    const files = execFileSync('git', ['ls-files', '-z', '-co', '--exclude-standard'], { encoding: 'utf8' });
    for (const file of files.split('\0').filter((name) => name !== '')) {
      mkdirSync(join(this.folder, dirname(file)), { recursive: true });
      cpSync(file, join(this.folder, file));
    }
    symlinkSync(resolve('node_modules'), join(this.folder, 'node_modules'));
    // `prefgrad` without npx is what an installed package gives.
    const installed = join(this.folder, '.bin/prefgrad');
    mkdirSync(dirname(installed));
    writeFileSync(installed, `#!/bin/sh\nexec "${process.execPath}" "${this.folder}/bin/prefgrad.js" "$@"\n`);
    chmodSync(installed, 0o755);
  }

  /** Runs a line of a page. A server stays until the copy is closed; later lines of the page reach it. */
  async run(command: CommandLine): Promise<void> {
    const line = this.#line(command).replaceAll(SERVER, this.#address);
    if (/ (serve|view) /.test(line)) await this.#serve(line);
    else await this.#finish(spawn('bash', ['-c', line], this.#options()), `${command.where}: ${line}`);
  }

  /** Runs a TypeScript program of a page, which imports the build of the package by its name. */
  async runProgram(text: string, where: string): Promise<void> {
    const file = `page-program-${this.#programs++}.ts`;
    writeFileSync(join(this.folder, file), text);
    await this.#finish(spawn(process.execPath, ['--import', 'tsx', file], this.#options()), where);
  }

  async close(): Promise<void> {
    for (const server of this.#servers) {
      const closed = new Promise((done) => server.once('close', done));
      server.kill('SIGTERM');
      await closed;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  #options() {
    const path = `${join(this.folder, '.bin')}${delimiter}${process.env.PATH}`;
    const env: NodeJS.ProcessEnv = { ...process.env, PATH: path };
    return { cwd: this.folder, env, stdio: ['ignore', 'pipe', 'pipe'] as ['ignore', 'pipe', 'pipe'] };
  }

  /** Without npx in between, so that ending the process ends the server. */
  async #serve(line: string): Promise<void> {
    const server = spawn('bash', ['-c', `exec ${line.replace(/^npx /, '')}`], this.#options());
    this.#servers.push(server);
    let errors = '';
    server.stderr.on('data', (chunk) => {
      errors += chunk;
    });
    for await (const text of createInterface({ input: server.stdout })) {
      if (line.includes(' serve ')) this.#address = text.trim().replace(/\/$/, '');
      return;
    }
    throw new Error(`${line}: ended without an address\n${errors}`);
  }

  async #finish(child: ChildProcess, what: string): Promise<void> {
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk) => {
        output += chunk;
      });
    const code = await new Promise((done) => child.once('close', done));
    if (code !== 0) throw new Error(`${what}\nended with ${code}:\n${output}`);
  }

  #line(command: CommandLine): string {
    const { text, words } = command;
    if (/^npm run quickstart$/.test(text)) return `${text} -- ${this.#smaller.train}`;
    const isTask = words.slice(0, 4).join(' ') === 'npx deno task train';
    const name = isTask ? 'train' : prefgradWords(command)?.[0];
    return name !== undefined && name in this.#smaller ? `${text} ${this.#smaller[name]}` : text;
  }
}
