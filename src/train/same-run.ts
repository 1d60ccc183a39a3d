/** Whether a configuration continues the run that a checkpoint belongs to. */
import { readTrainConfig, type TrainConfig } from './config.ts';

/** What may change when a run is resumed: how long it goes on, what it writes, and what it costs, but not its numbers. */
const MAY_CHANGE = new Set([
  'output_dir',
  'device',
  'reference.cache_dir',
  'training.max_steps',
  'training.num_train_epochs',
  'training.logging_steps',
  'training.log_every_step',
  'training.save_only_model',
  'training.metric_for_best_model',
  'training.greater_is_better',
  'training.load_best_model_at_end',
  'training.early_stopping_patience',
  'training.eval_steps',
  'training.save_steps',
  'training.save_total_limit',
  'training.memory_budget',
  'training.gradient_checkpointing',
  'training.offload_optimizer',
  'training.autotune',
  'training.ddp_timeout',
]);

/** @returns a line for every key whose change would make the resumed run another one. */
export function changedKeys(before: unknown, now: TrainConfig): string[] {
  // Keys that are newer than the checkpoint have the defaults under which it was made.
  // A device, which may change, was once called an adapter.
  const { adapter: _, ...stored } = JSON.parse(JSON.stringify(before));
  const completed = readTrainConfig(stored).config ?? stored;
  const old = flatten(JSON.parse(JSON.stringify(completed)));
  const fresh = flatten(JSON.parse(JSON.stringify(now)));
  return [...new Set([...old.keys(), ...fresh.keys()])]
    .filter((key) => !MAY_CHANGE.has(key) && old.get(key) !== fresh.get(key))
    .map(
      (key) =>
        `${key}: the checkpoint has ${old.get(key) ?? 'none'}, the configuration ${fresh.get(key) ?? 'none'}`,
    );
}

/** {a: {b: 1}} -> 'a.b' => '1'; lists count as values. */
function flatten(value: unknown, path = ''): Map<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return new Map([[path, JSON.stringify(value)]]);
  return new Map(
    Object.entries(value).flatMap(([key, inner]) => [
      ...flatten(inner, path === '' ? key : `${path}.${key}`),
    ]),
  );
}
