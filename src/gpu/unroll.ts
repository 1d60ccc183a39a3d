/**
 * Loops that are written out as text, for values that must have names of their own: what is in an array stays in registers
 * only if a driver unrolls every loop over it. SwiftShader unrolls none, and its register tiles would be memory.
 *
 *   //# for i in COUNT     The lines up to its end, COUNT times over with $i = 0, 1, ...; COUNT is one of the kernel's constants.
 *   //# end                Loops nest.
 */

export interface Unrolled {
  readonly text: string;
  /** For each line of `text`, its line in the source, from 1. */
  readonly lines: readonly number[];
}

interface Line {
  readonly text: string;
  readonly number: number;
}

/** @throws RangeError for a loop without an end, an end without a loop, or a count that is no constant of the kernel */
export function unroll(source: string, constants: Readonly<Record<string, number>>): Unrolled {
  const lines = source.split('\n').map((text, i): Line => ({ text, number: i + 1 }));
  const written = unrollLines(lines, constants);
  return { text: written.map(({ text }) => text).join('\n'), lines: written.map(({ number }) => number) };
}

function unrollLines(lines: readonly Line[], constants: Readonly<Record<string, number>>): Line[] {
  const written: Line[] = [];
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at];
    if (isEnd(line)) throw new RangeError(`Line ${line.number} ends no loop.`);
    const loop = loopOf(line);
    if (loop === undefined) {
      written.push(line);
      continue;
    }
    const count = constants[loop.count];
    if (count === undefined) throw new RangeError(`Line ${line.number}: the kernel has no ${loop.count}.`);
    const end = endOf(lines, at);
    const body = lines.slice(at + 1, end);
    for (let i = 0; i < count; i++) {
      const named = body.map(({ text, number }) => {
        return { text: text.replaceAll(`$${loop.variable}`, String(i)), number };
      });
      written.push(...unrollLines(named, constants));
    }
    at = end;
  }
  return written;
}

function loopOf({ text }: Line): { readonly variable: string; readonly count: string } | undefined {
  const found = /^\s*\/\/# for (\w+) in (\w+)\s*$/.exec(text);
  return found === null ? undefined : { variable: found[1], count: found[2] };
}

function isEnd({ text }: Line): boolean {
  return /^\s*\/\/# end\s*$/.test(text);
}

/** The end of the loop that begins at line `start`. */
function endOf(lines: readonly Line[], start: number): number {
  let open = 0;
  for (let at = start; at < lines.length; at++) {
    if (loopOf(lines[at]) !== undefined) open++;
    if (isEnd(lines[at])) open--;
    if (open === 0) return at;
  }
  throw new RangeError(`The loop of line ${lines[start].number} has no end.`);
}
