/**
 * Rows of a JSON Lines file, or of a file that is one JSON array, each with the line it begins on.
 */

import { InputError } from '../errors.ts';
import type { FileSource } from '../runtime/runtime.ts';
import { isObject, type JsonObject, reason, typeName } from './json.ts';
import type { ReadFiles } from './load-tokenizer.ts';

/** One row as it stands in the file. */
export interface RawRow {
  /** File name for messages. */
  readonly file: string;
  /** 1-based line on which the row begins. */
  readonly line: number;
  readonly value: JsonObject;
}

const CHUNK_BYTES = 1 << 18;
const NEWLINE = 0x0a;

/**
 * Yields the rows of `path` in order. JSON Lines are read in chunks of 256 KiB, so memory holds one chunk and one
 * line however large the file; a JSON array is read whole. Blank lines are skipped, a BOM and CRLF are tolerated.
 * Throws `InputError` with file and line for what is no JSON object.
 */
export async function* readRows(files: ReadFiles, path: string): AsyncGenerator<RawRow> {
  if (!(await files.exists(path)))
    throw new InputError(`${path}: no such file; check the path of the data set`);
  const source = await files.open(path);
  try {
    if (await beginsWithBracket(source)) {
      yield* arrayRows(await wholeText(source), path);
      return;
    }
    for await (const { text, line } of lines(source)) {
      if (text.trim()) yield { file: path, line, value: parseRow(text, path, line) };
    }
  } finally {
    await source.close();
  }
}

/** The lines of a file, decoded one by one; line ends never fall inside a UTF-8 character. */
async function* lines(source: FileSource): AsyncGenerator<{ text: string; line: number }> {
  let line = 0;
  let pending: Uint8Array[] = [];
  for (let offset = 0; offset < source.size; offset += CHUNK_BYTES) {
    const chunk = await source.readRange(offset, Math.min(CHUNK_BYTES, source.size - offset));
    let begin = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, begin)) {
      pending.push(chunk.subarray(begin, end));
      yield { text: decode(pending, source.name, ++line), line };
      pending = [];
      begin = end + 1;
    }
    if (begin < chunk.length) pending.push(chunk.subarray(begin));
  }
  if (pending.length > 0) yield { text: decode(pending, source.name, ++line), line };
}

function decode(parts: readonly Uint8Array[], file: string, line: number): string {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new InputError(`${file}:${line}: not UTF-8 text; save the file as UTF-8, uncompressed`);
  }
}

function parseRow(text: string, file: string, line: number): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InputError(
      `${file}:${line}: not valid JSON (${reason(error)}); write one JSON object per line, or one JSON array of objects`,
    );
  }
  if (isObject(value)) return value;
  throw new InputError(`${file}:${line}: a row must be a JSON object, found ${typeName(value)}`);
}

async function beginsWithBracket(source: FileSource): Promise<boolean> {
  const head = await source.readRange(0, Math.min(4096, source.size));
  return new TextDecoder().decode(head).trimStart().startsWith('[');
}

async function wholeText(source: FileSource): Promise<string> {
  const bytes = await source.readRange(0, source.size);
  return decode([bytes], source.name, 1);
}

/** Finds where each element of a JSON array begins and ends, so that errors can name its line. */
function* arrayRows(text: string, file: string): Generator<RawRow> {
  const open = text.indexOf('[');
  let line = text.slice(0, open).split('\n').length;
  let begin = open + 1;
  let beginLine = 0;
  let depth = 0;
  let inString = false;
  for (let at = open; at < text.length; at++) {
    const char = text.charAt(at);
    if (char === '\n') line++;
    if (inString) {
      if (char === '\\') at++;
      else if (char === '"') inString = false;
      continue;
    }
    if (char === '"') inString = true;
    else if (char === '[' || char === '{') {
      if (depth++ === 1) beginLine = line;
    } else if (char === ']' || char === '}') depth--;
    const ends = (char === ',' && depth === 1) || depth === 0;
    if (!ends) continue;
    const element = text.slice(begin, at);
    const last = depth === 0;
    const where = beginLine || line;
    if (element.trim() || !last) yield { file, line: where, value: parseRow(element, file, where) };
    begin = at + 1;
    beginLine = 0;
    if (last && text.slice(begin).trim())
      throw new InputError(`${file}:${line}: text behind the end of the JSON array`);
    if (last) return;
  }
  throw new InputError(
    `${file}:${line}: the JSON array does not end; the file is cut off or a quote or bracket is missing`,
  );
}
