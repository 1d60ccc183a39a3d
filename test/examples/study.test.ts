/** The pieces of the study (examples/study) that decide what its numbers mean. The training is test/examples/study.long.test.ts. */
import { describe, expect, it } from 'vitest';
import { corrected } from '../../examples/study/editor.ts';
import { CONFIG, vocabulary } from '../../examples/study/model.ts';
import { resultRows, resultTable } from '../../examples/study/table.ts';
import {
  isRight,
  NUMBERS,
  problemAt,
  problemOf,
  promptOf,
  STYLES,
  solutionOf,
  styleOf,
} from '../../examples/study/task.ts';

const problems = Array.from({ length: 200 }, (_, i) => problemAt(7, i));

describe('the task', () => {
  it('gives the same problem for the same seed and place', () => {
    expect(promptOf(problemAt(1, 1))).toBe(
      'ann has thirteen coins . tue loses five . wed gets four . thu loses two . fri loses five . sat gets four . how many ?',
    );
    expect(problemAt(7, 3)).toEqual(problems[3]);
    expect(new Set(problems.map(promptOf)).size).toBe(problems.length);
  });

  it('writes solutions whose totals are words that it knows, and reads its own prompts', () => {
    const [{ name, thing }] = problems;
    const problem = {
      name,
      thing,
      start: 3,
      steps: [
        { day: 'mon', change: 4 },
        { day: 'tue', change: -6 },
      ],
    };
    expect(STYLES.map((style) => solutionOf(problem, style))).toEqual([
      ' mon three + four = seven . tue seven - six = one . so one',
      ` ${name} begins with three , on mon we add four to get seven , on tue we drop six to get one , the answer is one`,
      ` ${thing} : three ; four in ( mon ) : seven ; six out ( tue ) : one ; left : one`,
    ]);
    const words = new Set(vocabulary().map((token) => token.trim()));
    for (const each of problems) {
      expect(problemOf(promptOf(each))).toEqual(each);
      for (const style of STYLES) {
        const solution = solutionOf(each, style);
        expect(styleOf(solution)).toBe(style);
        expect(
          solution
            .trim()
            .split(' ')
            .filter((word) => !words.has(word)),
        ).toEqual([]);
      }
    }
    expect(vocabulary()).toHaveLength(CONFIG.vocab_size);
  });

  it('finds every right solution right, and those that end with another number wrong', () => {
    for (const problem of problems) {
      for (const style of STYLES) {
        const solution = solutionOf(problem, style);
        expect(isRight(problem, solution)).toBe(true);
        const last = solution.split(' ').at(-1) ?? '';
        const other = NUMBERS[(NUMBERS.indexOf(last) + 1) % NUMBERS.length];
        expect(isRight(problem, `${solution.slice(0, -last.length)}${other}`)).toBe(false);
      }
    }
    expect(isRight(problems[0], ' no number')).toBe(false);
  });
});

describe('the exact editor', () => {
  it('keeps the style of a wrong answer, and changes nothing but its totals', () => {
    const prompt = 'ann has three pens . mon gets four . tue loses six . how many ?';
    const wrong = ' mon three + four = eight . tue eight - six = two . so two';
    expect(corrected(prompt, wrong)).toBe(' mon three + four = seven . tue seven - six = one . so one');
    for (const problem of problems) {
      for (const style of STYLES) {
        const right = solutionOf(problem, style);
        const slip = right.replace(/(\w+)( \.| ,| ;)? (so|the|left)/, 'zero$2 $3');
        expect(corrected(promptOf(problem), slip)).toBe(right);
      }
    }
  });
});

describe('the table', () => {
  it('has intervals that hold the means, and differences on the same problems', () => {
    const answers = (right: number) =>
      Array.from({ length: 50 }, (_, i) => ({
        prompt: '',
        answer: ' mon',
        isRight: i < right,
        tokens: 10,
      }));
    const rows = resultRows([
      { name: 'base model', perSeed: [answers(20)] },
      { name: 'DPO', learningRate: 1e-4, perSeed: [answers(25), answers(35)] },
      { name: 'MIPO', learningRate: 5e-5, perSeed: [answers(40), answers(40)] },
    ]);
    expect(rows.map(({ accuracy }) => accuracy.mean)).toEqual([0.4, 0.6, 0.8]);
    for (const { accuracy, seeds } of rows) {
      for (const { low, high } of [accuracy, ...seeds]) expect(low).toBeLessThan(high);
      expect(accuracy.low).toBeLessThan(accuracy.mean);
      expect(accuracy.high).toBeGreaterThan(accuracy.mean);
    }
    expect(rows[2].over_base?.difference).toBeCloseTo(0.4);
    expect(rows[2].over_dpo?.difference).toBeCloseTo(0.2);
    expect(rows[2].over_dpo?.low).toBeGreaterThan(0);
    expect(resultTable(rows)).toContain('| MIPO | 5e-5 | **80.0** (');
  });
});
