/** Which checkpoint is the best so far by a metric of the evaluation, and when there is no use in going on. */
import { InputError } from '../errors.ts';
import type { TrainingSettings } from './config.ts';
import type { Metrics } from './hooks.ts';

/** As transformers keeps it in trainer_state.json. */
export interface BestState {
  readonly best_metric: number | null;
  readonly best_global_step: number | null;
  readonly best_model_checkpoint: string | null;
  /** Evaluations since then. */
  readonly early_stopping_patience_counter: number;
}

const NONE: BestState = {
  best_metric: null,
  best_global_step: null,
  best_model_checkpoint: null,
  early_stopping_patience_counter: 0,
};

type Settings = Pick<
  TrainingSettings,
  'metric_for_best_model' | 'greater_is_better' | 'load_best_model_at_end' | 'early_stopping_patience'
>;

export class BestCheckpoint {
  readonly #settings: Settings;
  #state: BestState;

  constructor(settings: Settings, state: Partial<BestState> = {}) {
    this.#settings = settings;
    const { best_metric, best_global_step, best_model_checkpoint, early_stopping_patience_counter } = {
      ...NONE,
      ...state,
    };
    this.#state = { best_metric, best_global_step, best_model_checkpoint, early_stopping_patience_counter };
  }

  get state(): BestState {
    return this.#state;
  }

  /** Whether a metric is watched at all. */
  get isWatching(): boolean {
    const { metric_for_best_model, load_best_model_at_end, early_stopping_patience } = this.#settings;
    return (
      metric_for_best_model !== undefined || load_best_model_at_end || early_stopping_patience !== undefined
    );
  }

  /** Does an evaluation have the metric? One that was over a part of what is evaluated may lack it. */
  isIn(metrics: Metrics): boolean {
    return this.#metricName in metrics;
  }

  /**
   * Looks at an evaluation.
   * @returns whether it is the best so far
   * @throws InputError when the evaluation has no such metric
   */
  evaluated(step: number, metrics: Metrics): boolean {
    const name = this.#metricName;
    const value = metrics[name];
    if (value === undefined)
      throw new InputError(
        `training.metric_for_best_model: the evaluation has no ${name}; it has ${Object.keys(metrics).join(', ')}.`,
      );
    const { best_metric, early_stopping_patience_counter: waited } = this.#state;
    const isBest =
      best_metric === null || (this.#isGreaterBetter ? value > best_metric : value < best_metric);
    this.#state = isBest
      ? { ...NONE, best_metric: value, best_global_step: step }
      : { ...this.#state, early_stopping_patience_counter: waited + 1 };
    return isBest;
  }

  /** Notes where the model of step `step` was written, if that is the best one. */
  saved(step: number, checkpoint: string): void {
    if (this.#state.best_global_step === step)
      this.#state = { ...this.#state, best_model_checkpoint: checkpoint };
  }

  /** Whether `early_stopping_patience` evaluations in a row brought nothing better. */
  get isExhausted(): boolean {
    const { early_stopping_patience: patience } = this.#settings;
    return patience !== undefined && this.#state.early_stopping_patience_counter >= patience;
  }

  get summary(): string {
    const { best_metric, best_global_step } = this.#state;
    return `${this.#metricName} ${best_metric} after step ${best_global_step}`;
  }

  get #metricName(): string {
    const name = this.#settings.metric_for_best_model ?? 'loss';
    return name.startsWith('eval_') ? name : `eval_${name}`;
  }

  /** As transformers has it: a loss wants to be small, everything else large. */
  get #isGreaterBetter(): boolean {
    return this.#settings.greater_is_better ?? !this.#metricName.endsWith('loss');
  }
}
