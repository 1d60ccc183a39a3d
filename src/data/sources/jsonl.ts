/** Rows of JSON Lines, or of one JSON array, each with the line it begins on. */
import { InputError } from '../../errors.ts';
import { nestingProblem } from '../../json-text.ts';
import { isObject, type JsonObject, reason, typeName } from '../json.ts';
import type { Bytes } from './bytes.ts';
import type { RawRow } from './raw-row.ts';

const NEWLINE = 0x0a;

/**
 * Yields the rows of a text. Of JSON Lines, memory holds one piece and one line; a JSON array is taken whole. Blank lines
 * are skipped, a BOM and CRLF are tolerated.
 * @throws InputError with file and line for what is no JSON object
 */
export async function* jsonRows(pieces: AsyncGenerator<Bytes>, file: string): AsyncGenerator<RawRow> {
  const all = lines(pieces, file);
  let isFirst = true;
  for await (const { text, line } of all) {
    if (!text.trim()) continue;
    if (isFirst && text.trimStart().startsWith('[')) {
      // What stands before the bracket is blank lines, so only their number matters.
      const rest: string[] = ['\n'.repeat(line - 1), text];
      for await (const more of all) rest.push('\n', more.text);
      yield* arrayRows(rest.join(''), file);
      return;
    }
    isFirst = false;
    yield { file, line, value: parseRow(text, file, line) };
  }
}

/** The lines of a text, decoded one by one; line ends never fall inside a UTF-8 character. */
async function* lines(
  pieces: AsyncGenerator<Bytes>,
  file: string,
): AsyncGenerator<{ text: string; line: number }> {
  let line = 0;
  let pending: Uint8Array[] = [];
  for await (const piece of pieces) {
    let begin = 0;
    for (let end = piece.indexOf(NEWLINE); end >= 0; end = piece.indexOf(NEWLINE, begin)) {
      pending.push(piece.subarray(begin, end));
      yield { text: decode(pending, file, ++line), line };
      pending = [];
      begin = end + 1;
    }
    if (begin < piece.length) pending.push(piece.subarray(begin));
  }
  if (pending.length > 0) yield { text: decode(pending, file, ++line), line };
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
  const problem = nestingProblem(text);
  if (problem !== undefined) throw new InputError(`${file}:${line}: ${problem}`);
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
