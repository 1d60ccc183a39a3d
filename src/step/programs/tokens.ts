/** What every program begins with: the forward passes of policy and reference, and what the objective gets of them. */
import type { Tape } from '../../autograd/tape.ts';
import { detach } from '../../autograd/tensor.ts';
import type { Workspace } from '../../autograd/workspace.ts';
import type { Recorder } from '../../gpu/program.ts';
import type { CausalLM } from '../../models/causal-lm.ts';
import type { ActiveObjective } from '../../objectives/choice.ts';
import type { ObjectiveState, TokenInputs } from '../../objectives/objective.ts';
import type { ObjectiveRun } from '../../objectives/run.ts';
import { epsilonLogps } from '../../ops/logps/epsilon-logps.ts';
import type { LmHead } from '../../ops/logps/logit-chunks.ts';
import { type BatchTensors, type FieldName, FORWARD_FIELDS, objectiveFields } from '../batch-tensors.ts';
import {
  type FrozenModel,
  referenceHidden,
  referenceLogps,
  responseHidden,
  responseLogps,
} from '../forward.ts';
import type { StepMetrics } from '../metrics.ts';

/** The models and the objective that programs are made of, and the memory that they are planned into. */
export interface StepModels {
  readonly workspace: Workspace;
  readonly policy: CausalLM;
  /** Runs inside the step; absent when its log-probs come with the batch, or nobody needs it. */
  readonly reference: FrozenModel | undefined;
  /** The head for reference hidden states that come with the batch. */
  readonly referenceHead: LmHead | undefined;
  readonly objective: ActiveObjective;
  readonly state: ObjectiveState;
}

/** The fields of a batch that a separable objective, or evaluation, reads. */
export function batchFields(models: Pick<StepModels, 'objective' | 'reference'>): FieldName[] {
  return [...forwardFields(models), ...objectiveFields(models.objective.needs)];
}

/** Those of a micro-batch whose objective sees the step as a whole. */
export function exchangeFields(models: Pick<StepModels, 'objective' | 'reference'>): FieldName[] {
  return [...forwardFields(models), 'place'];
}

function forwardFields({ objective, reference }: Pick<StepModels, 'objective' | 'reference'>): FieldName[] {
  const isCached = reference === undefined && objective.needs.reference === 'logps';
  return [...FORWARD_FIELDS, ...(isCached ? (['refLogps'] as const) : [])];
}

/** Log-probs of policy and reference, as far as an objective needs them. */
export type Logps = Pick<TokenInputs, 'logps' | 'refLogps' | 'logpSteps'>;

/** How a forward pass runs. */
export interface PassOptions {
  /** False: nothing flows back, so nothing is prepared for it. */
  readonly training: boolean;
  /** So many blocks, from the first, are computed again in the backward pass. */
  readonly recomputedBlocks?: number;
}

/** What an objective sees of a micro-batch. */
export function recordTokens(
  models: StepModels,
  tape: Tape,
  batch: BatchTensors,
  pass: PassOptions,
): TokenInputs {
  return {
    ...knownInputs(models.objective, batch, pass.training),
    ...recordLogps(models, tape, batch, pass),
  };
}

/** Log-probs of policy and reference, as far as the objective needs them. */
export function recordLogps(
  models: StepModels,
  tape: Tape,
  batch: BatchTensors,
  { training, recomputedBlocks = 0 }: PassOptions,
): Logps {
  const { policy, reference, objective } = models;
  const { needs } = objective;
  const options = { adapter: true, recomputedBlocks, trained: training };
  if (needs.reference === 'logits') {
    const refHead = reference?.model.head ?? models.referenceHead;
    if (refHead === undefined) throw new RangeError(`${objective.name} was given no reference.`);
    const tracked = responseHidden(tape, policy, batch, options);
    const hidden = training ? tracked : detach(tracked);
    const refHidden = reference === undefined ? batch.refHidden : referenceHidden(tape, reference, batch);
    const attributes = {
      targets: batch.get('targets'),
      epsilon: needs.perturbation ?? 0,
      softcap: policy.head.softcap,
    };
    const heads = [hidden, policy.head.weight, { ...refHidden, requiresGrad: false }, refHead.weight];
    const [logps, refLogps, plus, minus] = tape.apply(epsilonLogps, heads, attributes);
    return { logps, refLogps, logpSteps: { plus, minus } };
  }
  const logps = responseLogps(tape, policy, batch, options);
  if (needs.reference === 'none') return { logps };
  const refLogps = reference === undefined ? batch.get('refLogps') : referenceLogps(tape, reference, batch);
  return { logps, refLogps };
}

/** What is known of a micro-batch, or a whole step, without any model. */
export function knownInputs(
  { needs }: ActiveObjective,
  batch: BatchTensors,
  training: boolean,
): Omit<TokenInputs, keyof Logps> {
  return {
    chosen: batch.answers('chosen'),
    rejected: batch.answers('rejected'),
    mismatched: needs.mismatched ? batch.answers('mismatched') : undefined,
    diff: needs.differences === undefined ? undefined : batch.get('diff'),
    dataWeights: needs.dataWeights ? batch.get('weights') : undefined,
    pairWeights: batch.get('pairWeights'),
    likelihoodWeights: needs.likelihood ? batch.get('likelihoodWeights') : undefined,
    labels:
      needs.rows === 'labels'
        ? { desirable: batch.get('desirable'), undesirable: batch.get('undesirable') }
        : undefined,
    gumbels: needs.gumbels ? batch.get('gumbels') : undefined,
    training,
  };
}

/**
 * TRL's metrics; `loss` is a sum over micro-batches, everything else a mean over pairs. Rewards compare answers, so they
 * are left out where only the chosen one is learned.
 */
export function recordMetrics(
  recorder: Recorder,
  metrics: StepMetrics,
  { needs }: ActiveObjective,
  run: ObjectiveRun,
  { pairWeights }: TokenInputs,
): void {
  const comparesAnswers = needs.rows !== 'chosen';
  const { rewards, logps } = run;
  metrics.addSum(recorder, 'loss', run.loss);
  const addRewards = (group: string, { chosen, rejected }: ObjectiveRun['rewards']) => {
    metrics.addMean(recorder, `${group}/chosen`, chosen, pairWeights);
    metrics.addMean(recorder, `${group}/rejected`, rejected, pairWeights);
    metrics.addShareGreater(recorder, `${group}/accuracies`, chosen, rejected, pairWeights);
  };
  if (comparesAnswers) {
    addRewards('rewards', rewards);
    // With token weights the rewards are not those of other methods; these are (BMC, Figure 6).
    if (run.unweightedRewards !== undefined) addRewards('rewards_unweighted', run.unweightedRewards);
  }
  metrics.addMean(recorder, 'logps/chosen', logps.chosen, pairWeights);
  if (comparesAnswers) metrics.addMean(recorder, 'logps/rejected', logps.rejected, pairWeights);
  for (const [name, values] of Object.entries(run.metrics ?? {}))
    metrics.addMean(recorder, name, values, pairWeights);
  for (const [name, value] of Object.entries(run.scalars ?? {})) metrics.set(recorder, name, value);
}
