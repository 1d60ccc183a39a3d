/**
 * The study's task: totals over some days, in words, that a program can grade.
 *
 *   ann has nine pens . mon gets four . tue loses six . how many ?
 *
 * A solution works out every day's total. The three styles of solutions say the same in other words and another layout.
 */
import { uniformAt } from '../../src/engine.ts';

export interface Step {
  readonly day: string;
  /** -6..-1 or 1..6. */
  readonly change: number;
}

export interface Problem {
  readonly name: string;
  readonly thing: string;
  readonly start: number;
  readonly steps: readonly Step[];
}

export const STYLES = ['equations', 'sentences', 'ledger'] as const;
export type Style = (typeof STYLES)[number];

export const NAMES = ['ann', 'bob', 'cleo', 'dan', 'eve', 'finn', 'gus', 'hana'];
export const THINGS = ['pens', 'figs', 'cards', 'coins', 'shells', 'cups'];
export const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
/** Words of the numbers from 0; every total is one of them. */
export const NUMBERS = (
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen ' +
  'eighteen nineteen twenty'
).split(' ');
const MOST_CHANGE = 6;
const STEPS = { least: 4, most: 6 };

/** Problem `index` of the endless list of a seed. */
export function problemAt(seed: number, index: number): Problem {
  let drawn = 0;
  const draw = (count: number) => Math.floor(uniformAt(seed, index, drawn++) * count);
  const start = 1 + draw(NUMBERS.length - 1);
  const count = STEPS.least + draw(STEPS.most - STEPS.least + 1);
  const firstDay = draw(DAYS.length);
  let total = start;
  const steps = Array.from({ length: count }, (_, i): Step => {
    const size = 1 + draw(MOST_CHANGE);
    const wanted = draw(2) === 0 ? size : -size;
    const change = total + wanted in NUMBERS ? wanted : -wanted;
    total += change;
    return { day: DAYS[(firstDay + i) % DAYS.length], change };
  });
  return { name: NAMES[draw(NAMES.length)], thing: THINGS[draw(THINGS.length)], start, steps };
}

export function promptOf({ name, thing, start, steps }: Problem): string {
  const days = steps.map(
    ({ day, change }) => ` ${day} ${change > 0 ? 'gets' : 'loses'} ${NUMBERS[Math.abs(change)]} .`,
  );
  return `${name} has ${NUMBERS[start]} ${thing} .${days.join('')} how many ?`;
}

/** Reads a prompt back. @throws RangeError for a text that is none */
export function problemOf(prompt: string): Problem {
  const [, name, start, thing] = /^(\w+) has (\w+) (\w+) \./.exec(prompt) ?? [];
  if (name === undefined) throw new RangeError(`No problem of this task: ${prompt}`);
  const steps = Array.from(prompt.matchAll(/ (\w+) (gets|loses) (\w+) \./g), ([, day, verb, size]) => ({
    day,
    change: verb === 'gets' ? numberOf(size) : -numberOf(size),
  }));
  return { name, thing, start: numberOf(start), steps };
}

/** How a style writes the beginning, a day and the end; totals are words. */
interface Wording {
  readonly begin: (problem: Problem) => string;
  readonly day: (day: string, before: string, gains: boolean, size: string, after: string) => string;
  readonly end: (last: string) => string;
}

const WORDINGS: Readonly<Record<Style, Wording>> = {
  equations: {
    begin: () => '',
    day: (day, before, gains, size, after) => ` ${day} ${before} ${gains ? '+' : '-'} ${size} = ${after} .`,
    end: (last) => ` so ${last}`,
  },
  sentences: {
    begin: ({ name, start }) => ` ${name} begins with ${NUMBERS[start]} ,`,
    day: (day, _, gains, size, after) => ` on ${day} we ${gains ? 'add' : 'drop'} ${size} to get ${after} ,`,
    end: (last) => ` the answer is ${last}`,
  },
  ledger: {
    begin: ({ thing, start }) => ` ${thing} : ${NUMBERS[start]} ;`,
    day: (day, _, gains, size, after) => ` ${size} ${gains ? 'in' : 'out'} ( ${day} ) : ${after} ;`,
    end: (last) => ` left : ${last}`,
  },
};

/** The right solution in one of the styles, with the space that parts it from the prompt. */
export function solutionOf(problem: Problem, style: Style): string {
  const { begin, day, end } = WORDINGS[style];
  let total = problem.start;
  let text = begin(problem);
  for (const { day: name, change } of problem.steps) {
    const before = total;
    total += change;
    text += day(name, NUMBERS[before], change > 0, NUMBERS[Math.abs(change)], NUMBERS[total]);
  }
  return text + end(NUMBERS[total]);
}

export function answerOf({ start, steps }: Problem): number {
  return steps.reduce((total, { change }) => total + change, start);
}

/** Right when the last number of the solution is the last total, whatever the style. */
export function isRight(problem: Problem, solution: string): boolean {
  const last = solution.split(' ').findLast((word) => NUMBERS.includes(word));
  return last === NUMBERS[answerOf(problem)];
}

/** @throws RangeError for a word that is no number */
function numberOf(word: string): number {
  const value = NUMBERS.indexOf(word);
  if (value < 0) throw new RangeError(`No number: ${word}`);
  return value;
}

/** The style that a text begins like; undefined for a text that begins like none. */
export function styleOf(text: string): Style | undefined {
  const [, first, second] = text.split(' ');
  if (DAYS.includes(first)) return 'equations';
  if (NAMES.includes(first) && second === 'begins') return 'sentences';
  return THINGS.includes(first) && second === ':' ? 'ledger' : undefined;
}
