/** `prefgrad sweep`: a run per combination, resumable, one table and one plot at the end. */
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import {
  csvText,
  gridRuns,
  parseAxis,
  type SweepResult,
  sweepFigure,
  tableText,
} from '../../src/cli/sweep.ts';
import { temporaryDirectory } from '../runtime/temporary.ts';
import { hasAdapter } from '../support/adapters.ts';
import { cli } from '../support/run-cli.ts';

describe('a grid', () => {
  it('has a run for every combination, the last key changing fastest', () => {
    const axes = ['objective.settings.beta=2,5', 'training.learning_rate=3e-7,5.0e-7'].map(parseAxis);
    const runs = gridRuns(axes, 'out');
    expect(runs.map(({ values }) => values)).toEqual([
      [2, 3e-7],
      [2, 5e-7],
      [5, 3e-7],
      [5, 5e-7],
    ]);
    expect(runs[0].name).toBe('beta=2,learning_rate=3e-7');
    expect(runs[0].set).toEqual([
      'objective.settings.beta=2',
      'training.learning_rate=3e-7',
      'output_dir="out/beta=2,learning_rate=3e-7"',
    ]);
  });

  it('tells keys of the same last part apart, and keeps values fit for a path', () => {
    const [run] = gridRuns(['a.x=1', 'b.x="../up"'].map(parseAxis), 'out');
    expect(run.name).toBe('a.x=1,b.x=.._up');
  });

  it('needs keys with values, each once', () => {
    expect(() => parseAxis('beta')).toThrow(/expected KEY=VALUE/);
    expect(() => parseAxis('beta=')).toThrow(/at least one value/);
    expect(() => gridRuns(['a=1', 'a=2'].map(parseAxis), 'out')).toThrow(/twice/);
  });

  it('becomes a table and a CSV', () => {
    const table = {
      columns: ['beta', 'eval_loss'],
      rows: [
        ['a,b', 0.6123456],
        [5, ''],
      ],
    };
    expect(csvText(table)).toBe('beta,eval_loss\n"a,b",0.6123456\n5,\n');
    expect(tableText(table)).toBe('beta  eval_loss\n a,b     0.6123\n   5           \n');
  });

  it('becomes a plot: the key with most values along x, a line per combination of the others', () => {
    const axes = ['method=a,b', 'rate=1e-7,1e-6,1e-5'].map(parseAxis);
    const runs = gridRuns(axes, 'out');
    const results: SweepResult[] = runs.map((_, i) => ({ 'eval_rewards/accuracies': i / 10, loss: 1 - i }));
    const figure = sweepFigure(axes, runs, results.with(4, {}));
    expect(figure?.x).toEqual({ label: 'rate', scale: 'log' });
    expect(figure?.y.label).toBe('eval_rewards/accuracies');
    expect(figure?.series.map(({ name, points }) => [name, points])).toEqual([
      [
        'method a',
        [
          { x: 1e-7, y: 0 },
          { x: 1e-6, y: 0.1 },
          { x: 1e-5, y: 0.2 },
        ],
      ],
      [
        'method b',
        [
          { x: 1e-7, y: 0.3 },
          { x: 1e-5, y: 0.5 },
        ],
      ],
    ]);
    const loss = sweepFigure(
      axes.slice(0, 1),
      gridRuns(axes.slice(0, 1), 'out'),
      results.slice(0, 2),
      'loss',
    );
    expect(loss).toMatchObject({
      x: { label: 'method', scale: 'point' },
      series: [
        {
          points: [
            { x: 'a', y: 1 },
            { x: 'b', y: 0 },
          ],
        },
      ],
    });
    expect(() => sweepFigure(axes, runs, results, 'los')).toThrow(
      /los: no run has it; there are eval_rewards\/accuracies, loss/,
    );
  });
});

/** Writes a configuration of one step. */
function writeConfig(folder: string): string {
  const config = `${folder}/config.yaml`;
  writeFileSync(
    config,
    `model: {path: examples/stories260K}
objective: dpo
data: {train: examples/quickstart/train.jsonl, eval: examples/quickstart/eval.jsonl, max_length: 128, max_rows: 4}
training: {max_steps: 1, per_device_train_batch_size: 4}
output_dir: ${folder}/sweep
`,
  );
  return config;
}

describe('prefgrad sweep', () => {
  it('trains every run once, and goes on where it was stopped', async () => {
    const folder = await temporaryDirectory();
    const config = writeConfig(folder);
    const sweep = () => cli('sweep', config, '--grid', 'objective.settings.beta=0.1,0.5');
    const first = await sweep();
    expect(first.code, first.stderr).toBe(0);
    const table = readFileSync(`${folder}/sweep/sweep.csv`, 'utf8').trim().split('\n');
    expect(table).toHaveLength(3);
    expect(table[0]).toMatch(
      /^objective\.settings\.beta,eval_loss,eval_rewards\/accuracies,.*,steps,seconds$/,
    );
    expect(table[1]).toMatch(/^0\.1,0\.\d+,.*,1,[\d.]+$/);
    expect(first.stderr).toContain(`${folder}/sweep/sweep.svg`);
    expect(readFileSync(`${folder}/sweep/sweep.svg`, 'utf8')).toContain('eval_rewards/accuracies over beta');
    const written = statSync(`${folder}/sweep/beta=0.1/run.json`).mtimeMs;

    rmSync(`${folder}/sweep/beta=0.5`, { recursive: true });
    const second = await sweep();
    expect(second.code, second.stderr).toBe(0);
    expect(second.stderr).toContain('Run 1 of 2: beta=0.1 (finished before)');
    expect(statSync(`${folder}/sweep/beta=0.1/run.json`).mtimeMs).toBe(written);
    expect(existsSync(`${folder}/sweep/beta=0.5/run.json`)).toBe(true);
    const column = (text: string) =>
      text
        .trim()
        .split('\n')
        .map((line) => line.split(',').slice(0, 2));
    expect(column(readFileSync(`${folder}/sweep/sweep.csv`, 'utf8'))).toEqual(column(table.join('\n')));
  });

  // Two names of one CPU driver stand for two GPUs: to the sweep they are.
  it.skipIf(!hasAdapter('lavapipe'))(
    'trains on several devices at once, each the next run, and goes on after a run that failed',
    async () => {
      const folder = await temporaryDirectory();
      const sweep = (values: string) =>
        cli(
          ...['sweep', writeConfig(folder), '--devices', 'lavapipe,llvmpipe'],
          ...['--grid', `data.train=${values}`],
        );
      const [here, later] = ['examples/quickstart/train.jsonl', `${folder}/later.jsonl`];
      const failed = await sweep(`${here},${later}`);
      expect(failed.code).toBe(2);
      expect(failed.stderr).toContain(`${later}`);
      writeFileSync(later, readFileSync(here));
      const done = await sweep(`${here},${later}`);
      expect(done.code, done.stderr).toBe(0);
      const [, ...rows] = readFileSync(`${folder}/sweep/sweep.csv`, 'utf8').trim().split('\n');
      expect(rows).toHaveLength(2);
      const devices = rows.map((row) => {
        const name = row.slice(0, row.indexOf(',')).replaceAll(/[^\w.+-]+/g, '_');
        const text = readFileSync(`${folder}/sweep/train=${name}/config.yaml`, 'utf8');
        return parse(text).device;
      });
      expect(devices).toEqual(['lavapipe', 'llvmpipe']);
      expect(done.stderr).toMatch(/^\[lavapipe\] Run 1 of 2/m);
      expect(done.stderr).toMatch(/^\[llvmpipe\] Run 2 of 2/m);
    },
  );

  it.each([
    [['--devices', '0,0'], '0 is there twice'],
    [['--devices', '0,'], 'names or numbers with commas'],
    [['--devices', '0,1', '--device', '0'], 'exclude each other'],
  ])('refuses %j', async (options, message) => {
    const { code, stderr } = await cli('sweep', 'examples/quickstart.yaml', '--grid', 'seed=1,2', ...options);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });

  it('refuses a wrong value before the first run', async () => {
    const { code, stderr } = await cli(
      'sweep',
      'examples/quickstart.yaml',
      '--grid',
      'training.learning_rate=1e-4,-1',
      '--out',
      '/nowhere',
    );
    expect(code).toBe(2);
    expect(stderr).toContain('training.learning_rate');
  });
});
