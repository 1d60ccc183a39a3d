/** The curves of a run in this tab, which grow with every step. */
import type { StepReport } from '../worker/protocol.ts';
import { type Chart, chart, removeCharts } from './charts.ts';
import { fill, h } from './dom.ts';

/** What is drawn, one chart a line. */
const CURVES: readonly (readonly string[])[] = [
  ['loss'],
  ['rewards/margins', 'rewards/chosen', 'rewards/rejected'],
  ['rewards/accuracies'],
  ['grad_norm'],
  ['tokens/s'],
  ['MiB on the GPU'],
];

/** As wide as the panel. */
const WIDTH = 340;

/** What one step says, by the names of curves. */
export interface CurvePoint {
  readonly step: number;
  readonly values: Readonly<Record<string, number>>;
}

export function pointOf({ step, metrics, tokensPerSecond, gpuBytes }: StepReport): CurvePoint {
  return { step, values: { ...metrics, 'tokens/s': tokensPerSecond, 'MiB on the GPU': gpuBytes / 2 ** 20 } };
}

export class TrainingCurves {
  readonly element = h('div', { class: 'charts' });
  readonly #charts = new Map<readonly string[], Chart>();
  #points: CurvePoint[] = [];

  get points(): readonly CurvePoint[] {
    return this.#points;
  }

  add(...points: readonly CurvePoint[]): void {
    this.#points.push(...points);
    const x = this.#points.map(({ step }) => step);
    for (const names of CURVES) {
      const known = names.filter((name) => this.#points.some(({ values }) => name in values));
      const series = known.map((name) => ({
        name,
        ...(name === 'rewards/chosen' ? { answer: 'chosen' as const } : {}),
        ...(name === 'rewards/rejected' ? { answer: 'rejected' as const } : {}),
        values: this.#points.map(({ values }) => values[name] ?? null),
      }));
      const drawn = this.#charts.get(names);
      if (drawn !== undefined) drawn.update(x, series);
      else if (known.length > 0) {
        const made = chart(known.join(', '), { name: 'optimizer step', values: x, isWhole: true }, series, {
          testid: 'curve',
          width: WIDTH,
        });
        this.#charts.set(names, made);
        this.element.append(made.element);
      }
    }
  }

  clear(): void {
    this.#points = [];
    this.#charts.clear();
    removeCharts(this.element);
    fill(this.element);
  }
}
