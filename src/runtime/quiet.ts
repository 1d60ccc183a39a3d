/**
 * Dawn prints two lines on stderr whenever it looks for adapters with a CPU driver present, "Warning: maxDynamic...BuffersPerPipelineLayout
 * artificially reduced ...", and has no setting that silences them. They are written in C++, so that only the file
 * descriptor itself can be turned aside, for as long as the call takes.
 */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Set by `--verbose`: whatever drivers write is shown. */
const VERBOSE = 'PREFGRAD_VERBOSE';
const NOISE = [
  /^Warning: maxDynamic\w+ artificially reduced .*\n/gm,
  // A machine without a driver, which our own message says with what to do.
  /^Warning: vkCreateInstance: Found no drivers!\n/gm,
  /^Warning: vkCreateInstance failed with VK_ERROR_INCOMPATIBLE_DRIVER\n( +at .*\n)*\n?/gm,
];
const STDERR = 2;

/** The C library's dup(2) and dup2(2); null where they cannot be called. */
interface Duplicates {
  dup(descriptor: number): number;
  dup2(from: number, to: number): number;
}

let duplicates: Promise<Duplicates | null> | undefined;

/** Runs `action`, which must not wait for anything, and keeps Dawn's harmless warnings off stderr. All else that it writes stays. */
export async function quietly<T>(action: () => T): Promise<T> {
  if (process.env[VERBOSE]) return action();
  duplicates ??= loadDuplicates();
  const library = await duplicates;
  return library === null ? action() : withoutNoise(library, action);
}

function withoutNoise<T>({ dup, dup2 }: Duplicates, action: () => T): T {
  const aside = openAside();
  const saved = aside === undefined ? -1 : dup(STDERR);
  if (aside === undefined || saved < 0) return action();
  try {
    dup2(aside, STDERR);
    return action();
  } finally {
    dup2(saved, STDERR);
    fs.closeSync(saved);
    const bytes = new Uint8Array(fs.fstatSync(aside).size);
    fs.readSync(aside, bytes, 0, bytes.length, 0);
    fs.closeSync(aside);
    const text = NOISE.reduce((said, noise) => said.replace(noise, ''), new TextDecoder().decode(bytes));
    if (text !== '') process.stderr.write(text);
  }
}

/** A file without a name, read from its start whatever was written to it; undefined where none can be made. */
function openAside(): number | undefined {
  const path = join(tmpdir(), `prefgrad-${process.pid}-${crypto.randomUUID()}`);
  try {
    const write = fs.openSync(path, 'ax+', 0o600);
    fs.unlinkSync(path);
    return write;
  } catch {
    return undefined;
  }
}

async function loadDuplicates(): Promise<Duplicates | null> {
  if (process.platform !== 'linux') return null;
  try {
    const { default: koffi } = await import('koffi');
    const library = koffi.load(null);
    return { dup: library.func('int dup(int)'), dup2: library.func('int dup2(int, int)') };
  } catch {
    // Without it the warnings are shown.
    return null;
  }
}
