/**
 * The programs of a training step, one set per shape bucket.
 *
 * A separable objective needs one program per micro-batch: policy and (live) reference forward, objective, backward.
 * One that is not separable sees the whole step at once: every micro-batch runs forward and leaves its log-probs in a
 * step-long tensor; the objective runs once; every micro-batch runs forward again and then backward from its part of
 * dL/dlogp. Activations never outlive a micro-batch either way.
 */
import type { Tape } from '../autograd/tape.ts';
import { allocateTensor, detach, freeTensor, type Tensor, temporary, whole } from '../autograd/tensor.ts';
import type { BatchShape } from '../data/batches.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Arena } from '../gpu/planner.ts';
import { Program, type Recorder } from '../gpu/program.ts';
import type { CausalLM } from '../models/causal-lm.ts';
import type { ActiveObjective } from '../objectives/choice.ts';
import type { ObjectiveState, TokenInputs } from '../objectives/objective.ts';
import { type ObjectiveRun, runObjective } from '../objectives/run.ts';
import { recordFill } from '../ops/elementwise/fill.ts';
import { vectorMath } from '../ops/elementwise/vector.ts';
import { accumulate, tapeFor } from '../ops/index.ts';
import { gridFor, workgroupSize } from '../ops/launch.ts';
import { epsilonLogps } from '../ops/logps/epsilon-logps.ts';
import type { LmHead } from '../ops/logps/logit-chunks.ts';
import { recordTokenStatistics, statisticsColumn } from '../ops/logps/token-statistics.ts';
import { segmentSum } from '../ops/reduction/segment-sum.ts';
import { BatchTensors, type FieldName, FORWARD_FIELDS, objectiveFields } from './batch-tensors.ts';
import {
  type FrozenModel,
  referenceHidden,
  referenceLogps,
  responseHidden,
  responseLogps,
} from './forward.ts';
import type { StepMetrics } from './metrics.ts';
import type { OverflowWatch } from './overflow-watch.ts';

/** The models and the objective that programs are made of. */
export interface StepParts {
  readonly gpu: Gpu;
  readonly arena: Arena;
  readonly policy: CausalLM;
  /** Runs inside the step; absent when its log-probs come with the batch, or nobody needs it. */
  readonly reference: FrozenModel | undefined;
  /** The head for reference hidden states that come with the batch. */
  readonly referenceHead: LmHead | undefined;
  readonly objective: ActiveObjective;
  readonly state: ObjectiveState;
  readonly metrics: StepMetrics;
  /** So many blocks are computed again in the backward pass. */
  readonly recomputedBlocks: number;
  /** Keeps the largest value of every tensor of a step, on request. */
  readonly watch: OverflowWatch | undefined;
}

/** The fields of a batch that a separable objective, or evaluation, reads. */
export function batchFields(parts: Pick<StepParts, 'objective' | 'reference'>): FieldName[] {
  return [...forwardFields(parts), ...objectiveFields(parts.objective.needs)];
}

/** Those of a micro-batch whose objective sees the step as a whole. */
export function exchangeFields(parts: Pick<StepParts, 'objective' | 'reference'>): FieldName[] {
  return [...forwardFields(parts), 'place'];
}

function forwardFields({ objective, reference }: Pick<StepParts, 'objective' | 'reference'>): FieldName[] {
  const isCached = reference === undefined && objective.needs.reference === 'logps';
  return [...FORWARD_FIELDS, ...(isCached ? (['refLogps'] as const) : [])];
}

/** What the forward pass and the inputs of the objective are made of. */
type TokenParts = Pick<
  StepParts,
  'policy' | 'reference' | 'referenceHead' | 'objective' | 'recomputedBlocks'
>;

/**
 * What the micro-batches of a step leave for an objective that sees it as a whole: log-probs of policy and reference, and
 * what the perturbed logits give; and what the objective leaves for them, dL/dlogp. [rows of the step] each.
 */
export class WholeStep {
  readonly batch: BatchTensors;
  readonly exchanged: { readonly logps: Tensor } & Readonly<
    Partial<Record<'refLogps' | 'plus' | 'minus', Tensor>>
  >;
  readonly gradient: Tensor;
  readonly #gpu: Gpu;

  /** @param largest the most rows and pairs that one optimizer step has. */
  constructor(gpu: Gpu, { needs }: ActiveObjective, largest: BatchShape) {
    this.#gpu = gpu;
    this.batch = new BatchTensors(gpu, largest, objectiveFields(needs));
    const make = (label: string) =>
      allocateTensor(gpu, `${label} of the step`, [largest.rows], 'f32', 'batch');
    this.exchanged = {
      logps: make('log-probs'),
      ...(needs.reference !== 'none' && { refLogps: make('reference log-probs') }),
      ...(needs.reference === 'logits' && { plus: make('log p+ - log p'), minus: make('log p - log p-') }),
    };
    this.gradient = make('dL/dlogp');
  }

  /** As the objective sees them. */
  get inputs(): Logps {
    const { logps, refLogps, plus, minus } = this.exchanged;
    return { logps, refLogps, logpSteps: plus && minus && { plus, minus } };
  }

  free(): void {
    this.batch.free();
    for (const tensor of [...Object.values(this.exchanged), this.gradient]) freeTensor(this.#gpu, tensor);
  }
}

type Logps = Pick<TokenInputs, 'logps' | 'refLogps' | 'logpSteps'>;

/** Forward, objective and backward of one micro-batch. */
export function separableProgram(parts: StepParts, batch: BatchTensors): Program {
  return new Program(parts.gpu, parts.arena, `step of ${batch.capacity.tokens} tokens`, (recorder) => {
    const observe = parts.watch?.observe(recorder);
    const tape = tapeFor(recorder, observe);
    const tokens = recordTokens(parts, tape, batch, true);
    const run = recorder.asPart('objective', () => {
      const made = runObjective(recorder, parts.objective, tokens, parts.state);
      recordMetrics(recorder, parts.metrics, parts.objective, made, tokens);
      addToState(recorder, parts.state, made);
      return made;
    });
    if (run.gradient === undefined) throw new RangeError('The objective gave no gradient.');
    observe?.('dL/dlogp', run.gradient);
    tape.backward(tokens.logps, run.gradient);
  });
}

/** What evaluation reads per pair, f32 [pairs] each: the difference of mean log-probs per token, chosen - rejected. */
export interface PairGaps {
  /** The reference's: K of MIPO. */
  readonly reference: Tensor;
  readonly policy: Tensor;
}

/**
 * Objective without backward, for evaluation. `metrics` are means over this batch.
 * @param pairs both answers of every row are there
 * @param gaps filled where the objective has a reference
 */
export function evaluationProgram(
  parts: StepParts,
  batch: BatchTensors,
  metrics: StepMetrics,
  pairs: boolean,
  gaps?: PairGaps,
): Program {
  return new Program(parts.gpu, parts.arena, `evaluation of ${batch.capacity.tokens} tokens`, (recorder) => {
    recordFill(recorder, metrics.tensor, 0);
    const tokens = recordTokens(parts, tapeFor(recorder), batch, false);
    const run = runObjective(recorder, parts.objective, tokens, parts.state);
    recordMetrics(recorder, metrics, parts.objective, run, tokens);
    recordKl(recorder, parts, metrics, batch, tokens);
    if (!pairs) return;
    const gap = recordMeanLogps(recorder, metrics, run, tokens);
    if (gaps === undefined || tokens.refLogps === undefined) return;
    accumulate(recorder, recordReferenceGap(recorder, tokens, tokens.refLogps), {
      tensor: gaps.reference,
      accumulate: false,
    });
    accumulate(recorder, gap, { tensor: gaps.policy, accumulate: false });
  });
}

/** Forward of one micro-batch; its log-probs go to their place in the step. */
export function forwardProgram(parts: StepParts, batch: BatchTensors, step: WholeStep): Program {
  return new Program(parts.gpu, parts.arena, `forward of ${batch.capacity.tokens} tokens`, (recorder) => {
    const tape = tapeFor(recorder, parts.watch?.observe(recorder));
    const { logps, refLogps, logpSteps } = recordLogps(parts, tape, batch, false);
    const { exchanged } = step;
    copyRows(recorder, logps, exchanged.logps, batch, true);
    for (const [rows, to] of [
      [refLogps, exchanged.refLogps],
      [logpSteps?.plus, exchanged.plus],
      [logpSteps?.minus, exchanged.minus],
    ])
      if (rows !== undefined && to !== undefined) copyRows(recorder, rows, to, batch, true);
  });
}

/** The objective over all log-probs of a step. */
export function wholeObjectiveProgram(parts: StepParts, step: WholeStep): Program {
  return new Program(parts.gpu, parts.arena, 'objective of the step', (recorder) =>
    recorder.asPart('objective', () => {
      const tokens = { ...knownInputs(parts.objective, step.batch, true), ...step.inputs };
      const run = runObjective(recorder, parts.objective, tokens, parts.state);
      if (run.gradient === undefined) throw new RangeError('The objective gave no gradient.');
      parts.watch?.observe(recorder)('dL/dlogp', run.gradient);
      accumulate(recorder, run.gradient, { tensor: step.gradient, accumulate: false });
      recordMetrics(recorder, parts.metrics, parts.objective, run, tokens);
      addToState(recorder, parts.state, run);
    }),
  );
}

/** Forward again and backward from the micro-batch's part of the step's gradient. */
export function backwardProgram(parts: StepParts, batch: BatchTensors, step: WholeStep): Program {
  return new Program(parts.gpu, parts.arena, `backward of ${batch.capacity.tokens} tokens`, (recorder) => {
    const tape = tapeFor(recorder, parts.watch?.observe(recorder));
    const logps = responseLogps(tape, parts.policy, batch, {
      adapter: true,
      recomputedBlocks: parts.recomputedBlocks,
      trained: true,
    });
    const gradient = temporary(recorder, 'dL/dlogp', logps.shape);
    copyRows(recorder, gradient, step.gradient, batch, false);
    tape.backward(logps, gradient);
  });
}

/** Hidden states of the response tokens under a model that is not trained, into `into` [rows, hidden]. */
export function hiddenProgram(
  gpu: Gpu,
  arena: Arena,
  reference: FrozenModel,
  batch: BatchTensors,
  into: Tensor,
): Program {
  return new Program(gpu, arena, `hidden states of ${batch.capacity.tokens} tokens`, (recorder) => {
    const hidden = referenceHidden(tapeFor(recorder), reference, batch);
    accumulate(recorder, hidden, { tensor: into, accumulate: false });
  });
}

/** Log-probs of the response tokens under a model that is not trained, into `into` [rows]. */
export function logpsProgram(
  gpu: Gpu,
  arena: Arena,
  reference: FrozenModel,
  batch: BatchTensors,
  into: Tensor,
): Program {
  return new Program(gpu, arena, `log-probs of ${batch.capacity.tokens} tokens`, (recorder) => {
    const logps = referenceLogps(tapeFor(recorder), reference, batch);
    accumulate(recorder, logps, { tensor: into, accumulate: false });
  });
}

/** What an objective sees of a micro-batch. */
function recordTokens(parts: TokenParts, tape: Tape, batch: BatchTensors, training: boolean): TokenInputs {
  return { ...knownInputs(parts.objective, batch, training), ...recordLogps(parts, tape, batch, training) };
}

/** Log-probs of policy and reference, as far as the objective needs them. */
function recordLogps(parts: TokenParts, tape: Tape, batch: BatchTensors, training: boolean): Logps {
  const { policy, reference, objective } = parts;
  const { needs } = objective;
  const options = {
    adapter: true,
    recomputedBlocks: training ? parts.recomputedBlocks : 0,
    trained: training,
  };
  if (needs.reference === 'logits') {
    const refHead = reference?.model.head ?? parts.referenceHead;
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
function knownInputs(
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
function recordMetrics(
  recorder: Recorder,
  metrics: StepMetrics,
  { needs }: ActiveObjective,
  run: ObjectiveRun,
  { pairWeights }: TokenInputs,
): void {
  const comparesAnswers = needs.rows !== 'chosen';
  const { rewards, logps } = run;
  metrics.addSum(recorder, 'loss', run.loss);
  if (comparesAnswers) {
    metrics.addMean(recorder, 'rewards/chosen', rewards.chosen, pairWeights);
    metrics.addMean(recorder, 'rewards/rejected', rewards.rejected, pairWeights);
    metrics.addShareGreater(recorder, 'rewards/accuracies', rewards.chosen, rewards.rejected, pairWeights);
  }
  metrics.addMean(recorder, 'logps/chosen', logps.chosen, pairWeights);
  if (comparesAnswers) metrics.addMean(recorder, 'logps/rejected', logps.rejected, pairWeights);
  for (const [name, values] of Object.entries(run.metrics ?? {}))
    metrics.addMean(recorder, name, values, pairWeights);
  for (const [name, value] of Object.entries(run.scalars ?? {})) metrics.set(recorder, name, value);
}

/**
 * KL of policy and reference on the chosen answers, over the whole vocabulary and teacher-forced: KL(policy || reference)
 * (BMC, Figure 9) and KL(reference || policy) (epsilon-DPO, Figure 4b), summed over each answer and as a mean per token.
 * Needs the reference's logits, so a reference that is only known by its log-probs gives none.
 */
function recordKl(
  recorder: Recorder,
  parts: StepParts,
  metrics: StepMetrics,
  batch: BatchTensors,
  tokens: TokenInputs,
): void {
  const { policy, reference } = parts;
  const refHead = reference?.model.head ?? parts.referenceHead;
  if (refHead === undefined) return;
  const tape = tapeFor(recorder);
  const options = { adapter: true, recomputedBlocks: 0 };
  const own = { hidden: responseHidden(tape, policy, batch, options), head: policy.head };
  const refHidden = reference === undefined ? batch.refHidden : referenceHidden(tape, reference, batch);
  const other = { hidden: refHidden, head: refHead };
  const statistics = recordTokenStatistics(recorder, own, batch.get('targets'), other);
  const math = vectorMath(tape);
  const { chosen, pairWeights } = tokens;
  for (const [name, column] of [
    ['kl', 'kl'],
    ['forward_kl', 'reverseKl'],
  ] as const) {
    const values = statisticsColumn(recorder, statistics, column);
    const [sums] = tape.apply(segmentSum, [values], { segments: chosen.segments });
    metrics.addMean(recorder, name, sums, pairWeights);
    metrics.addMean(recorder, `${name}_per_token`, math.divide(sums, chosen.lengths), pairWeights);
  }
}

/**
 * How often, and by how much, the chosen answer has the higher mean log-prob per token: no reference comes into it.
 * @returns the difference per pair
 */
function recordMeanLogps(
  recorder: Recorder,
  metrics: StepMetrics,
  run: ObjectiveRun,
  { chosen, rejected, pairWeights }: TokenInputs,
): Tensor {
  const math = vectorMath(tapeFor(recorder));
  const ofChosen = math.divide(run.logps.chosen, chosen.lengths);
  const ofRejected = math.divide(run.logps.rejected, rejected.lengths);
  metrics.addShareGreater(recorder, 'mean_logps/accuracies', ofChosen, ofRejected, pairWeights);
  const gap = math.subtract(ofChosen, ofRejected);
  metrics.addMean(recorder, 'mean_logps/margins', gap, pairWeights);
  return gap;
}

/** K: the difference of the reference's mean log-probs per token, chosen - rejected, [P]. */
function recordReferenceGap(recorder: Recorder, { chosen, rejected }: TokenInputs, refLogps: Tensor): Tensor {
  const tape = tapeFor(recorder);
  const math = vectorMath(tape);
  const mean = ({ segments, lengths }: TokenInputs['chosen']) =>
    math.divide(tape.apply(segmentSum, [refLogps], { segments })[0], lengths);
  return math.subtract(mean(chosen), mean(rejected));
}

function addToState(recorder: Recorder, state: ObjectiveState, run: ObjectiveRun): void {
  for (const [name, value] of Object.entries(run.accumulate ?? {})) {
    accumulate(recorder, value, { tensor: state[name], accumulate: true });
  }
}

function copyRows(recorder: Recorder, rows: Tensor, step: Tensor, batch: BatchTensors, out: boolean): void {
  recorder.launch({
    kernel: 'micro_batch_slice',
    conditions: { OUT: out },
    constants: { WORKGROUP: workgroupSize(recorder) },
    bindings: { rows: whole(rows), step: whole(step), place: whole(batch.get('place')) },
    grid: gridFor(recorder, rows.shape[0]),
  });
}

/** What scoring needs of a step's parts. */
export type ScoreParts = Pick<StepParts, 'gpu' | 'arena' | 'policy' | 'reference' | 'objective' | 'state'>;

/** What scoring can give: per token [rows] or [rows, STRIDE], and per pair (losses; epsilon-DPO's steps). */
export type ScoreName =
  | 'logps'
  | 'refLogps'
  | 'weights'
  | 'contributions'
  | 'losses'
  | 'steps'
  | 'statistics'
  | 'refStatistics';

/**
 * Forward and objective without backward. What `outputs` names goes there, as far as the objective and the reference
 * give it; token statistics take a second forward pass.
 * @returns the program and the names that it writes.
 */
export function scoreProgram(
  parts: ScoreParts,
  batch: BatchTensors,
  outputs: Readonly<Partial<Record<ScoreName, Tensor>>>,
): { program: Program; written: ReadonlySet<ScoreName> } {
  const written = new Set<ScoreName>();
  const label = `scores of ${batch.capacity.tokens} tokens`;
  const program = new Program(parts.gpu, parts.arena, label, (recorder) => {
    const write = (name: ScoreName, tensor: Tensor | undefined) => {
      const output = outputs[name];
      if (tensor === undefined || output === undefined) return;
      accumulate(recorder, tensor, { tensor: output, accumulate: false });
      written.add(name);
    };
    const tape = tapeFor(recorder);
    const fixed = { referenceHead: undefined, recomputedBlocks: 0 };
    const tokens = recordTokens({ ...parts, ...fixed }, tape, batch, false);
    const { policy, reference } = parts;
    const refLogps = tokens.refLogps ?? (reference && referenceLogps(tape, reference, batch));
    const run = runObjective(recorder, parts.objective, tokens, parts.state);
    write('logps', tokens.logps);
    write('refLogps', refLogps);
    write('weights', run.weights);
    write('contributions', run.contributions);
    write('losses', run.losses);
    write('steps', run.details?.steps);
    if (outputs.statistics === undefined) return;
    const targets = batch.get('targets');
    const options = { adapter: true, recomputedBlocks: 0 };
    const own = { hidden: responseHidden(tape, policy, batch, options), head: policy.head };
    const other = reference && {
      hidden: referenceHidden(tape, reference, batch),
      head: reference.model.head,
    };
    write('statistics', recordTokenStatistics(recorder, own, targets, other));
    write('refStatistics', other && recordTokenStatistics(recorder, other, targets));
  });
  return { program, written };
}
