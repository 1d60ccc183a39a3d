/** The maths grader: what it takes for equal, what it keeps apart, where it looks for the answer, and its bounds. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { areEqualAnswers, gradeMaths } from '../../../src/evaluate/maths/grade.ts';
import { gradeNumber } from '../../../src/evaluate/maths/grade-school.ts';
import { EQUAL, SOLUTIONS, UNEQUAL, WORD_PROBLEMS } from './cases.ts';

/** The pairs on which the grader's verdict is not `expected`. */
const wrongPairs = (pairs: readonly (readonly [string, string])[], expected: boolean) =>
  pairs.filter(([gold, answer]) => areEqualAnswers(gold, answer) !== expected);

describe('answers that are equal', () => {
  it.each(Object.entries(EQUAL))('%s', (_, pairs) => {
    expect(wrongPairs(pairs, true)).toEqual([]);
  });

  it('in either direction', () => {
    const pairs = Object.values(EQUAL).flat();
    expect(
      wrongPairs(
        pairs.map(([gold, answer]) => [answer, gold] as const),
        true,
      ),
    ).toEqual([]);
  });
});

describe('answers that are not equal', () => {
  it.each(Object.entries(UNEQUAL))('%s', (_, pairs) => {
    expect(wrongPairs(pairs, false)).toEqual([]);
  });
});

describe('the answer in a text', () => {
  it.each(SOLUTIONS)('$prediction against $gold: $equal', ({ gold, prediction, equal }) => {
    expect(gradeMaths(gold, prediction).correct).toBe(equal);
  });

  it.each(WORD_PROBLEMS)('word problem: $prediction against $gold: $equal', ({ gold, prediction, equal }) => {
    expect(gradeNumber(gold, prediction).correct).toBe(equal);
  });
});

describe('whatever a model writes', () => {
  const pieces =
    '1 23 .5 x \\frac \\sqrt { } ( ) [ ] \\{ \\} , ; + - ^ _ | ! \\% = < \\le \\cup \\pm \\sum and'.split(
      ' ',
    );
  const garbage = fc
    .array(fc.constantFrom(...pieces, '\\begin{pmatrix}', '\\end{pmatrix}', '&', '\\\\', '$', '\\boxed{'), {
      maxLength: 60,
    })
    .map((parts) => parts.join(' '));

  it('is graded without an error', () => {
    fc.assert(
      fc.property(garbage, garbage, (gold, prediction) => {
        expect(typeof gradeMaths(gold, prediction).correct).toBe('boolean');
      }),
      { numRuns: 150, seed: 5 },
    );
  });

  it('is equal to itself', () => {
    fc.assert(
      fc.property(garbage, (text) => {
        expect(areEqualAnswers(`1 ${text}`, ` 1 ${text} `)).toBe(true);
      }),
      { numRuns: 50, seed: 6 },
    );
  });

  it.each([
    ['a tower of powers', `${'9^{'.repeat(40)}9${'}'.repeat(40)}`],
    ['hundreds of factorials', `${'4000!+3999!+'.repeat(150)}1`],
    ['thousands of brackets', '['.repeat(2000)],
    ['thousands of signs', `${'-'.repeat(2000)}x`],
    ['a matrix to a large power', '\\begin{pmatrix}1&1\\\\1&0\\end{pmatrix}^{99999}'],
    ['a matrix that does not end', '\\begin{pmatrix}1&)'],
  ])('costs no time to speak of: %s', (_, text) => {
    expect(areEqualAnswers(text, `2\\cdot(${text})`)).toBe(false);
  });

  it.each([
    ['a number without end', '1'.repeat(60_000)],
    ['a list without end', '\n*'.repeat(30_000)],
    ['boxes without end', '\\boxed{'.repeat(10_000)],
    ['number words without end', 'one hundred and '.repeat(5_000)],
  ])('is read in one go: %s', (_, text) => {
    expect([gradeMaths('5', text).correct, gradeNumber('#### 5', text).correct]).toEqual([false, false]);
  });
});
