/** The page's pure parts: alignment, scale, what a view shows, and the state in the URL. */
import { describe, expect, it } from 'vitest';
import { latestOnly } from '../../web/app/latest.ts';
import { open } from '../../web/app/opened.ts';
import { fromHash, Store, toHash } from '../../web/app/state.ts';
import {
  align,
  codeMask,
  colourClass,
  creditsOf,
  differenceOf,
  labelShifts,
  meanByPosition,
  number,
  placeOf,
  scaleOf,
  sharedBeginning,
  shareForHalf,
  unweightedMargin,
  valuesOf,
  visible,
} from '../../web/app/views.ts';
import type { ScoredPair, ScoredSide } from '../../web/worker/protocol.ts';

const side = (rewards: number[]): ScoredSide => ({
  token_ids: rewards.map((_, i) => i),
  tokens: rewards.map((_, i) => `t${i}`),
  logps: rewards.map(() => -1),
  diff: rewards.map(() => 0),
  rewards,
  contributions: rewards,
  cut: [],
});
const pair = (chosen: number[], rejected: number[]): ScoredPair => ({
  prompt: { token_ids: [], tokens: [] },
  chosen: side(chosen),
  rejected: side(rejected),
});

it('moves labels at the ends of lines apart, the higher line on top', () => {
  expect(labelShifts([1, 3], 100)).toEqual([0, 0]);
  const [low, high, top] = labelShifts([1, 1.05, 1.06], 100);
  expect(top).toBe(0);
  // Pixels grow downwards: 106 above the axis, 105, 100; each at least 12 below the one before.
  expect([105 - high, 100 - low]).toEqual([94, 82]);
});

describe('code in an answer', () => {
  it('is what stands between fences, whole tokens at a time', () => {
    const code = ['\n``', '`py', '\n', 'x = 1', '\n```'];
    expect(codeMask(['See', ' this', ...code, '\nDone.'])).toEqual([
      ...[false, false],
      ...code.map(() => true),
      false,
    ]);
  });

  it('goes on to the end where no fence closes it, and is not a fence within a line', () => {
    expect(codeMask(['a', '\n```\n', 'b'])).toEqual([false, true, true]);
    expect(codeMask(['a ```', 'b', '``` c'])).toEqual([false, false, false]);
  });
});

describe('alignment', () => {
  const mask = (text: string) => [...text].map((c): 0 | 1 => (c === '1' ? 1 : 0));

  it('puts common stretches side by side and what differs between them', () => {
    expect(align(mask('0000110000'), mask('00001110000'))).toEqual([
      { varied: false, chosen: [0, 4], rejected: [0, 4] },
      { varied: true, chosen: [4, 6], rejected: [4, 7] },
      { varied: false, chosen: [6, 10], rejected: [7, 11] },
    ]);
  });

  it('leaves no token out and shows none twice, whatever the masks', () => {
    for (const [a, b] of [
      ['1', ''],
      ['0101010', '0010100'],
      ['111000111', '0000'],
      ['00', '0000'],
    ]) {
      const stretches = align(mask(a), mask(b));
      expect(stretches[0].chosen[0]).toBe(0);
      expect(stretches.at(-1)?.chosen[1]).toBe(a.length);
      expect(stretches.at(-1)?.rejected[1]).toBe(b.length);
      for (let i = 1; i < stretches.length; i++) {
        expect(stretches[i].chosen[0]).toBe(stretches[i - 1].chosen[1]);
        expect(stretches[i].rejected[0]).toBe(stretches[i - 1].rejected[1]);
      }
    }
  });
});

describe('the scale', () => {
  it('is the same for all panes, centred at 0, and not set by one outlier', () => {
    const many = Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? 1 : -1) * (i / 100));
    expect(scaleOf([pair([...many, 50], [])], 'reward')).toBeLessThan(1);
    expect(scaleOf([pair([0, 0], [0])], 'reward')).toBe(1);
    expect([placeOf(5, 1), placeOf(-5, 1), placeOf(0, 1)]).toEqual([1, -1, 0]);
    const class_ = (value: number) => colourClass('reward', value, 1);
    expect([class_(1), class_(-1), class_(0.01)]).toEqual(['p8', 'n8', 'z0']);
  });

  it('is sequential for quantities without a sign, and a weight of 1 is no weight', () => {
    expect([colourClass('logp', -2, 4), colourClass('entropy', 4, 4)]).toEqual(['s4', 's8']);
    expect([colourClass('lambda', 1, 2), colourClass('lambda', 3, 2)]).toEqual(['s0', 's8']);
  });
});

describe('credit', () => {
  it('counts a rejected token with the opposite sign, and adds up to the margin', () => {
    const credits = creditsOf(pair([3, 0.5], [-2, 1]));
    expect(credits.map(({ side, credit }) => [side, credit])).toEqual([
      ['chosen', 3],
      ['rejected', 2],
      ['rejected', -1],
      ['chosen', 0.5],
    ]);
    expect(shareForHalf(credits)).toBe(0.5);
    expect(unweightedMargin(pair([3, 0.5], [-2, 1]))).toBe(4.5);
  });

  it('finds the beginning that both answers share', () => {
    const both = pair([1, 2, 3], [1, 2]);
    expect(sharedBeginning(both)).toBe(2);
    const differ = { ...both, chosen: { ...both.chosen, token_ids: [7, 1, 2] } };
    expect(sharedBeginning(differ)).toBe(0);
  });

  it('is subtracted token by token where both models cut the text alike', () => {
    expect(differenceOf(side([3, 2]), side([1, 5]), 'contribution')).toEqual([2, -3]);
    expect(differenceOf(side([3, 2]), side([1]), 'contribution')).toBeUndefined();
  });
});

describe('a view', () => {
  it('adds up, fills in, or says that it is not known', () => {
    const own = side([1, 2, 3]);
    expect(valuesOf(own, 'running')).toEqual([1, 3, 6]);
    expect(valuesOf(own, 'lambda')).toEqual([1, 1, 1]);
    expect(valuesOf(own, 'kl')).toBeUndefined();
  });

  it('shows numbers briefly and white space visibly', () => {
    expect([number(-0.12345), number(12.34), number(0.00001), number(undefined)]).toEqual([
      '−0.123',
      '12.3',
      '1.0e−5',
      '–',
    ]);
    expect(visible(' a\n')).toBe('·a⏎');
  });
});

describe('the state in the URL', () => {
  it('comes back as it was, and is empty at the start', () => {
    const store = new Store('');
    expect(toHash(store.state)).toBe('');
    store.set({
      pair: 3,
      panes: [
        { source: 'dpo', reference: 'reference', method: undefined },
        { source: 'dpo-bmc', reference: 'dpo', method: { name: 'mipo', settings: { beta: 25 } } },
      ],
      view: 'kl',
      tool: 'edit',
      difference: true,
      marks: true,
      edited: { prompt: 'a & b', chosen: '#1', rejected: ' ü' },
    });
    expect(fromHash(toHash(store.state))).toEqual(store.state);
  });

  it('ignores what makes no sense', () => {
    expect(fromHash('#pair=-3&view=nothing&tool=7&panes=')).toEqual(fromHash(''));
  });
});

describe('what charts are made of', () => {
  it('takes means by place in a span, as far as spans reach', () => {
    expect(meanByPosition([[4, 1], [2], [3, 2]], 3)).toEqual([3, 1.5, null]);
  });
});

describe('what was opened', () => {
  const item = (path: string, text: string) => ({ path, blob: async () => new Blob([text]) });
  const scored = {
    prompt: { token_ids: [1, 5] },
    chosen: { token_ids: [3], tokens: [' a'], logps: [-1], diff: [1], rewards: [0.5] },
    rejected: { token_ids: [4], tokens: [' b'], logps: [-2], diff: [1], rewards: [-0.25] },
  };

  it('is a run with its checkpoints in order, its method and its metrics', async () => {
    const model = (at: string) => [item(`r/${at}/config.json`, '{}'), item(`r/${at}/model.safetensors`, '')];
    const config = { objective: { name: 'mipo', settings: { beta: 25 } } };
    const [run, ...others] = await open([
      item('r/metrics.jsonl', '{"step": 1, "loss": 0.7}\n'),
      ...model('model'),
      ...model('checkpoint-10'),
      ...model('checkpoint-5'),
      item('r/checkpoint-5/trainer_state.json', JSON.stringify({ config })),
    ]);
    expect(others).toEqual([]);
    expect(run).toMatchObject({ kind: 'run', name: 'r', method: { name: 'mipo', settings: { beta: 25 } } });
    expect(run.kind === 'run' && run.models.map(({ name }) => name)).toEqual([
      'r, step 5',
      'r, step 10',
      'r, final',
    ]);
    expect(run.kind === 'run' && run.metrics).toEqual([{ step: 1, loss: 0.7 }]);
  });

  it('is a score file, whose sums are of its own terms', async () => {
    const [found] = await open([item('scores.jsonl', `${JSON.stringify(scored)}\n`)]);
    expect(found).toMatchObject({
      kind: 'scores',
      pairs: [{ prompt: '', chosen: ' a', rejected: ' b' }],
      scored: [{ sums: { chosen: 0.5, rejected: -0.25 }, margin: 0.75 }],
    });
  });

  it('is told apart: several models, rows, and what nobody knows', async () => {
    const files = [
      item('a/config.json', ''),
      item('b/adapter_config.json', ''),
      item('rows.jsonl', '{"prompt": "x", "chosen": "y", "rejected": "z"}'),
    ];
    expect((await open(files)).map(({ kind, name }) => [kind, name])).toEqual([
      ['model', 'a'],
      ['model', 'b'],
      ['rows', 'rows.jsonl'],
    ]);
    await expect(open([item('notes.txt', '')])).rejects.toThrow(/notes\.txt: this is neither a model folder/);
    await expect(open([item('x.jsonl', '{"step": 1}\n{')])).rejects.toThrow(
      'x.jsonl:2: this line is not JSON.',
    );
  });
});

describe('requests that overtake each other', () => {
  it('runs the first and the newest, and goes on after a failure', async () => {
    const ran: number[] = [];
    const failures: unknown[] = [];
    const ask = latestOnly(
      async (n: number) => {
        ran.push(n);
        await Promise.resolve();
        if (n === 1) throw new Error('one');
      },
      (error) => failures.push(error),
    );
    for (const n of [1, 2, 3, 4]) ask(n);
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(ran).toEqual([1, 4]);
    expect(failures).toEqual([new Error('one')]);
    ask(5);
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(ran).toEqual([1, 4, 5]);
  });
});
