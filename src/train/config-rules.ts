/** What the schema of single keys cannot say: rules of the objective in use, and rules between keys. */
import { choiceProblems } from '../objectives/choice.ts';
import type { Needs } from '../objectives/objective.ts';
import { objectiveRegistry } from '../objectives/registry.ts';
import type { Problem } from '../schema-problems.ts';
import { referenceForm } from './reference-form.ts';

type Group = Readonly<Record<string, unknown>>;

/** Checks name, settings, token weights and reference mode of the objective. Values of the wrong type are left to the schema. */
export function objectiveProblems(raw: unknown): Problem[] {
  const choice = group(raw, 'objective');
  const name = choice?.name;
  if (choice === undefined || typeof name !== 'string') return [];
  const { settings, bmc } = choice;
  const weights = group(choice, 'token_weights');
  const token_weights =
    typeof weights?.name === 'string' ? { name: weights.name, settings: weights.settings } : undefined;
  const problems = choiceProblems({ name, settings, token_weights, bmc }).map(({ path, message }) => ({
    path: ['objective', ...path],
    message,
  }));
  const objective = objectiveRegistry.find(name);
  if (objective === undefined) return problems;
  if (!objective.settings.safeParse(settings ?? {}).success) return problems;
  const { needs } = objective.bind(settings ?? {});
  const reference = group(raw, 'reference') ?? {};
  const hasLora = trainsAdapter(raw);
  return [
    ...problems,
    ...referenceProblems(name, needs, reference, hasLora),
    ...lossProblems(name, needs, group(raw, 'data') ?? {}),
    ...startProblems(name, needs, raw),
    ...sampleProblems(name, needs, reference.mode, group(raw, 'training')?.eval_samples),
  ];
}

/** KL over samples needs the reference's logits of texts that are not known before. */
function sampleProblems(name: string, needs: Needs, mode: unknown, samples: unknown): Problem[] {
  if (typeof samples !== 'number' || samples === 0) return [];
  const path = ['training', 'eval_samples'];
  if (needs.reference === 'none')
    return [{ path, message: `${name} has no reference to measure KL against` }];
  const isKnownMode = mode === 'precompute' || mode === 'in_step';
  if (referenceForm(needs, isKnownMode ? mode : 'auto') === 'live') return [];
  return [{ path, message: 'needs the reference beside the policy; set reference.mode: in_step' }];
}

/** A model from scratch is nothing to hold a policy against, and nothing to put an update on. */
function startProblems(name: string, needs: Needs, raw: unknown): Problem[] {
  if (group(raw, 'model')?.init !== 'random') return [];
  const problems: Problem[] = [];
  if (group(raw, 'lora') !== undefined)
    problems.push({
      path: ['lora'],
      message: 'a model from scratch is trained whole; remove this group, or model.init',
    });
  if (group(raw, 'model')?.adapter !== undefined)
    problems.push({
      path: ['model', 'adapter'],
      message: 'a model from scratch has no adapter; remove this key, or model.init',
    });
  if (needs.reference !== 'none' && group(raw, 'reference')?.model === undefined) {
    const message = `is missing: with model.init random the reference of ${name} would be random too`;
    problems.push({ path: ['reference', 'model'], message });
  }
  return problems;
}

function lossProblems(name: string, needs: Needs, data: Group): Problem[] {
  if (data.loss_on !== 'assistant_turns' || needs.rows === 'chosen') return [];
  const message = `${name} compares whole answers; only methods that learn one answer can take assistant_turns`;
  return [{ path: ['data', 'loss_on'], message }];
}

function referenceProblems(name: string, needs: Needs, reference: Group, hasLora: boolean): Problem[] {
  const problems: Problem[] = [];
  for (const key of ['model', 'adapter']) {
    if (needs.reference !== 'none' || reference[key] === undefined) continue;
    const message = `${name} uses no reference model; remove this key, or choose an objective that does`;
    problems.push({ path: ['reference', key], message });
  }
  const uncached = whyNotCached(name, needs);
  if (uncached !== undefined && reference.mode === 'precompute') {
    const message = `${uncached}, so it cannot be precomputed; expected auto or in_step`;
    problems.push({ path: ['reference', 'mode'], message });
  }
  if (needs.referenceUpdate && hasLora) {
    const message = `the reference of ${name} follows the policy, which needs full fine-tuning; train no adapter`;
    problems.push({ path: ['lora'], message });
  }
  if (needs.referenceUpdate && reference.adapter !== undefined) {
    const message = `the reference of ${name} follows the policy, which has no adapter; remove this key`;
    problems.push({ path: ['reference', 'adapter'], message });
  }
  return problems;
}

/** Why log-probs of the reference cannot be computed once, before training. */
function whyNotCached(name: string, needs: Needs): string | undefined {
  if (needs.referenceUpdate) return `the reference of ${name} follows the policy`;
  if (needs.mismatched) return `${name} needs the reference on completions of other prompts`;
  return undefined;
}

/** Keys that once had another name. */
export function renamedProblems(raw: unknown): Problem[] {
  if (typeof raw !== 'object' || raw === null || !('adapter' in raw)) return [];
  const message = `the GPU is chosen with "device: ${String(raw.adapter)}"; an adapter is a PEFT adapter`;
  return [{ path: ['adapter'], message }];
}

/** Keys that would do nothing without another one, or that contradict each other. */
export function crossProblems(raw: unknown): Problem[] {
  const [training, data] = [group(raw, 'training') ?? {}, group(raw, 'data') ?? {}];
  const model = group(raw, 'model') ?? {};
  const problems: Problem[] = [
    ...quantizationProblems(model, trainsAdapter(raw)),
    ...evaluationProblems(training, data, tasksOf(raw)),
  ];
  if (data.eval !== undefined && data.eval_fraction !== undefined) {
    const message = 'data.eval says already what is evaluated on; remove one of the two';
    problems.push({ path: ['data', 'eval_fraction'], message });
  }
  if (data.shuffle === true && data.max_rows === undefined) {
    const message =
      'it says which rows max_rows takes, so it does nothing without it; epochs are shuffled anyway';
    problems.push({ path: ['data', 'shuffle'], message });
  }
  const savesBest = training.metric_for_best_model !== undefined || training.load_best_model_at_end === true;
  if (training.save_total_limit !== undefined && training.save_steps === undefined && !savesBest) {
    const message = 'checkpoints are only written in between when training.save_steps is given too';
    problems.push({ path: ['training', 'save_total_limit'], message });
  }
  return [...problems, ...bestProblems(training)];
}

type Tasks = readonly Readonly<Record<string, unknown>>[];

function tasksOf(raw: unknown): Tasks {
  if (typeof raw !== 'object' || raw === null || !('eval_tasks' in raw)) return [];
  const { eval_tasks: tasks } = raw;
  return Array.isArray(tasks) ? tasks.filter((task) => typeof task === 'object' && task !== null) : [];
}

/** Evaluations need rows or tasks, and every task metrics of its own. */
function evaluationProblems(training: Group, data: Group, tasks: Tasks): Problem[] {
  const problems: Problem[] = [];
  const hasRows = data.eval !== undefined || data.eval_fraction !== undefined;
  const needed = (key: string, what: string) => {
    const message = `there is nothing to evaluate on; give ${what} too`;
    problems.push({ path: ['training', key], message });
  };
  if (training.eval_steps !== undefined && !hasRows && tasks.length === 0)
    needed('eval_steps', 'data.eval or data.eval_fraction');
  if (training.eval_tasks_steps !== undefined && tasks.length === 0) needed('eval_tasks_steps', 'eval_tasks');
  if (typeof training.eval_samples === 'number' && training.eval_samples > 0 && !hasRows)
    needed('eval_samples', 'data.eval or data.eval_fraction');
  const names = tasks.map(({ name, task }) => name ?? task);
  for (const [i, name] of names.entries()) {
    if (names.indexOf(name) === i) continue;
    const message = `two tasks would have the metrics eval_${String(name)}_...; give one another name`;
    problems.push({ path: ['eval_tasks', String(i), 'name'], message });
  }
  return problems;
}

/** What looks at evaluations during the run needs them. */
function bestProblems(training: Group): Problem[] {
  const problems: Problem[] = [];
  const watching = ['metric_for_best_model', 'load_best_model_at_end', 'early_stopping_patience'].filter(
    (key) => training[key] !== undefined && training[key] !== false,
  );
  if (training.eval_steps === undefined) {
    const message = 'it looks at evaluations during the run; give training.eval_steps too';
    problems.push(...watching.map((key) => ({ path: ['training', key], message })));
  }
  if (training.greater_is_better !== undefined && watching.length === 0) {
    const message = 'it says how training.metric_for_best_model is read; give that too';
    problems.push({ path: ['training', 'greater_is_better'], message });
  }
  if (training.load_best_model_at_end === true && training.save_only_model === true) {
    const message =
      'the best model is put back from a whole checkpoint; remove this key or load_best_model_at_end';
    problems.push({ path: ['training', 'save_only_model'], message });
  }
  return problems;
}

/** Whether low-rank pairs are trained: new ones, or those of an adapter that goes on. */
function trainsAdapter(raw: unknown): boolean {
  const { adapter, adapter_mode } = group(raw, 'model') ?? {};
  return group(raw, 'lora') !== undefined || (adapter !== undefined && adapter_mode !== 'merge_and_new');
}

function quantizationProblems(model: Group, hasLora: boolean): Problem[] {
  const [wanted, other] = ['load_in_4bit', 'load_in_8bit'].filter((key) => model[key] === true);
  if (wanted === undefined) return [];
  const path = ['model', wanted];
  if (other !== undefined)
    return [{ path, message: `weights are held in 4 or in 8 bits; remove one of ${wanted} and ${other}` }];
  if (hasLora) return [];
  return [{ path, message: 'only frozen weights can be held in so few bits; add lora, or remove this key' }];
}

function group(raw: unknown, key: string): Group | undefined {
  const value = typeof raw === 'object' && raw !== null ? (raw as Group)[key] : undefined;
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Group) : undefined;
}
