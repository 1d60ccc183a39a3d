/**
 * `prefgrad objectives --evaluate`: computes the cases of a golden file with the production kernels and the very graph
 * that training runs. Logits go in as hidden states with an identity head.
 */
import { allocateTensor, download, freeTensor, type Tensor, upload, whole } from '../autograd/tensor.ts';
import { type DifferenceMethod, tokenDifferences } from '../data/differences.ts';
import { InputError } from '../errors.ts';
import type { Gpu } from '../gpu/device.ts';
import { Program, type Recorder } from '../gpu/program.ts';
import type { Answers, ObjectiveState, TokenInputs } from '../objectives/objective.ts';
import { type ActiveObjective, activate } from '../objectives/registry.ts';
import { type ObjectiveRun, runObjective } from '../objectives/run.ts';
import { epsilonLogps } from '../ops/epsilon-logps.ts';
import { tapeFor } from '../ops/index.ts';
import { tokenLogps } from '../ops/token-logps.ts';

/** A pair of the file; logits are [tokens, vocabulary]. */
export interface CasePair {
  readonly chosen_ids: readonly number[];
  readonly rejected_ids: readonly number[];
  readonly policy_chosen_logits: readonly (readonly number[])[];
  readonly policy_rejected_logits: readonly (readonly number[])[];
  readonly ref_chosen_logits: readonly (readonly number[])[];
  readonly ref_rejected_logits: readonly (readonly number[])[];
  readonly policy_KL_logp?: number;
  readonly ref_KL_logp?: number;
}

export interface CaseRequest {
  readonly name: string;
  readonly hp: Readonly<Record<string, unknown>>;
}

/** One line of the output. */
export interface CaseResult extends Record<string, unknown> {
  readonly name: string;
  readonly hp: Readonly<Record<string, unknown>>;
  readonly loss: number;
}

const BMC_KEYS = ['delta', 'diff', 'reference_weights'] as const;
const STATE_KEYS = { gap_mean_before: 'mean', gap_std_before: 'deviation' } as const;

/** The objective a case names: 'x_y' is 'x-y', 'x_bmc' is x with BMC weights. */
export function objectiveOfCase({ name, hp }: CaseRequest): {
  active: ActiveObjective;
  state: Record<string, number>;
} {
  const hasBmc = name.endsWith('_bmc');
  const isBmcKey = (key: string) => hasBmc && (BMC_KEYS as readonly string[]).includes(key);
  const isStateKey = (key: string) => key in STATE_KEYS;
  const entries = Object.entries(hp);
  const active = activate({
    name: (hasBmc ? name.slice(0, -'_bmc'.length) : name).replaceAll('_', '-'),
    settings: Object.fromEntries(entries.filter(([key]) => !isBmcKey(key) && !isStateKey(key))),
    bmc: hasBmc ? Object.fromEntries(entries.filter(([key]) => isBmcKey(key))) : undefined,
  });
  const state: Record<string, number> = { ...active.initState };
  for (const [key, value] of entries) {
    if (isStateKey(key)) state[STATE_KEYS[key as keyof typeof STATE_KEYS]] = Number(value);
  }
  return { active, state };
}

/** Computes one case over a batch of pairs. */
export async function evaluateCase(
  gpu: Gpu,
  pairs: readonly CasePair[],
  request: CaseRequest,
): Promise<CaseResult> {
  const { active, state: initial } = objectiveOfCase(request);
  const rows = layOut(pairs, active);
  const made: Tensor[] = [];
  const onGpu = (
    label: string,
    shape: readonly number[],
    values: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>,
  ): Tensor => {
    const tensor = allocateTensor(gpu, label, shape, values instanceof Float32Array ? 'f32' : 'u32', 'batch');
    upload(gpu, tensor, values);
    made.push(tensor);
    return tensor;
  };
  const count = rows.targets.length;
  const vocabulary = rows.vocabulary;
  const policy: Tensor = { ...onGpu('policy logits', [count, vocabulary], rows.policy), requiresGrad: true };
  const reference = onGpu('reference logits', [count, vocabulary], rows.reference);
  const head = onGpu('identity head', [vocabulary, vocabulary], identity(vocabulary));
  const targets = onGpu('targets', [count], rows.targets);
  const side = (segments: readonly number[]): Answers => ({
    segments: onGpu('segments', [pairs.length, 2], Uint32Array.from(segments)),
    lengths: onGpu(
      'lengths',
      [pairs.length],
      Float32Array.from(pairs, (_, p) => segments[2 * p + 1] - segments[2 * p]),
    ),
  });
  const constant = (label: string, value: number) =>
    onGpu(label, [pairs.length], new Float32Array(pairs.length).fill(value));
  const chosenTokens = pairs.reduce((n, p) => n + p.chosen_ids.length, 0);
  const known = {
    chosen: side(rows.chosen),
    rejected: side(rows.rejected),
    mismatched: side(rows.mismatched),
    diff: onGpu('diff', [count], rows.diff),
    pairWeights: constant('pair weights', 1 / pairs.length),
    tokenWeights: constant('token weights', 1 / chosenTokens),
    desirable: constant('desirable', 0.5 / pairs.length),
    undesirable: constant('undesirable', 0.5 / pairs.length),
    gumbels: onGpu('gumbels', [pairs.length], noiseForFirst(pairs, request)),
    training: true,
  };
  const state: ObjectiveState = Object.fromEntries(
    Object.entries(initial).map(([name, value]) => [name, onGpu(name, [1], new Float32Array([value]))]),
  );
  const kept: Record<string, Tensor> = {};
  const program = await Program.build(gpu, request.name, (recorder) => {
    const keep = (name: string, tensor: Tensor | undefined) => {
      if (tensor === undefined) return;
      kept[name] = tensor;
      recorder.keep(whole(tensor).storage);
    };
    const { run, logitGradient } = recordCase(recorder, active, {
      policy,
      reference,
      head,
      targets,
      known,
      state,
    });
    keep('loss', run.loss);
    keep('losses', run.losses);
    keep('gradient', run.gradient);
    keep('logitGradient', logitGradient);
    keep('weights', run.weights);
    keep('chosenRewards', run.rewards.chosen);
    keep('rejectedRewards', run.rewards.rejected);
    for (const [name, tensor] of Object.entries({ ...run.metrics, ...run.scalars, ...run.accumulate }))
      keep(name, tensor);
  });
  program.run();
  const values: Record<string, Float32Array> = {};
  for (const [name, tensor] of Object.entries(kept)) values[name] = await download(gpu, tensor);
  const dispatches = program.dispatchCount;
  program.free();
  for (const tensor of made) freeTensor(gpu, tensor);
  return describe(gpu, request, active, rows, values, { pairs: pairs.length, dispatches, initial });
}

interface CaseTensors {
  readonly policy: Tensor;
  readonly reference: Tensor;
  readonly head: Tensor;
  readonly targets: Tensor;
  readonly known: Omit<TokenInputs, 'logps'>;
  readonly state: ObjectiveState;
}

/** The graph that training runs, from hidden states on. */
function recordCase(
  recorder: Recorder,
  active: ActiveObjective,
  tensors: CaseTensors,
): { run: ObjectiveRun; logitGradient: Tensor | undefined } {
  const { policy, reference, head, targets, known, state } = tensors;
  const tape = tapeFor(recorder);
  let inputs: TokenInputs;
  if (active.needs.reference === 'logits') {
    const epsilon = Number(active.settings.epsilon);
    const [logps, refLogps, plus, minus] = tape.apply(epsilonLogps, [policy, head, reference, head], {
      targets,
      epsilon,
    });
    inputs = { ...known, logps, refLogps, logpSteps: { plus, minus } };
  } else {
    const [logps] = tape.apply(tokenLogps, [policy, head], { targets });
    inputs = {
      ...known,
      logps,
      refLogps: tapeFor(recorder).apply(tokenLogps, [reference, head], { targets })[0],
    };
  }
  const run = runObjective(recorder, active, inputs, state);
  if (run.gradient === undefined) return { run, logitGradient: undefined };
  tape.backward(inputs.logps, run.gradient);
  return { run, logitGradient: tape.gradientOf(policy) };
}

interface CaseRows {
  readonly vocabulary: number;
  readonly policy: Float32Array<ArrayBuffer>;
  readonly reference: Float32Array<ArrayBuffer>;
  readonly targets: Uint32Array<ArrayBuffer>;
  readonly diff: Float32Array<ArrayBuffer>;
  readonly chosen: number[];
  readonly rejected: number[];
  readonly mismatched: number[];
}

/** All response tokens on one axis: per pair chosen, rejected and, for KTO, one token that stands for the mismatched answer. */
function layOut(pairs: readonly CasePair[], active: ActiveObjective): CaseRows {
  const vocabulary = pairs[0]?.policy_chosen_logits[0]?.length;
  if (vocabulary === undefined) throw new InputError('The file has no pairs with logits.');
  const [policy, reference, targets, diff]: number[][] = [[], [], [], []];
  const bounds: { chosen: number[]; rejected: number[]; mismatched: number[] } = {
    chosen: [],
    rejected: [],
    mismatched: [],
  };
  const method: DifferenceMethod = active.needs.differences ?? 'levenshtein';
  for (const pair of pairs) {
    const masks = tokenDifferences(pair.rejected_ids, pair.chosen_ids, method);
    for (const side of ['chosen', 'rejected'] as const) {
      bounds[side].push(targets.length);
      policy.push(...pair[`policy_${side}_logits`].flat());
      reference.push(...pair[`ref_${side}_logits`].flat());
      targets.push(...pair[`${side}_ids`]);
      diff.push(...masks[side]);
      bounds[side].push(targets.length);
    }
    bounds.mismatched.push(targets.length);
    if (pair.policy_KL_logp !== undefined && pair.ref_KL_logp !== undefined) {
      policy.push(...logitsWithLogp(pair.policy_KL_logp, vocabulary));
      reference.push(...logitsWithLogp(pair.ref_KL_logp, vocabulary));
      targets.push(0);
      diff.push(0);
    }
    bounds.mismatched.push(targets.length);
  }
  return {
    vocabulary,
    policy: Float32Array.from(policy),
    reference: Float32Array.from(reference),
    targets: Uint32Array.from(targets),
    diff: Float32Array.from(diff),
    ...bounds,
  };
}

/** Logits under which token 0 has a given log-prob: the file gives KTO's mismatched answers as sums only. */
function logitsWithLogp(logp: number, vocabulary: number): number[] {
  return [
    logp + Math.log(vocabulary - 1) - Math.log1p(-Math.exp(logp)),
    ...new Array<number>(vocabulary - 1).fill(0),
  ];
}

function identity(size: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0));
}

/** Gumbel noise under which beta-DPO draws the first pairs, as the golden file has it: priorities log w + g = -i. */
function noiseForFirst(pairs: readonly CasePair[], { hp }: CaseRequest): Float32Array<ArrayBuffer> {
  const gap = (pair: CasePair) =>
    sumLogps(pair, 'policy', 'chosen') -
    sumLogps(pair, 'policy', 'rejected') -
    sumLogps(pair, 'ref', 'chosen') +
    sumLogps(pair, 'ref', 'rejected');
  const gaps = pairs.map(gap);
  const mean = gaps.reduce((a, b) => a + b, 0) / gaps.length;
  const deviation = Math.sqrt(gaps.reduce((s, g) => s + (g - mean) ** 2, 0) / Math.max(1, gaps.length - 1));
  const momentum = Number(hp.momentum ?? 0.9);
  const m = momentum * Number(hp.gap_mean_before ?? 0) + (1 - momentum) * mean;
  const s = momentum * Number(hp.gap_std_before ?? 0) + (1 - momentum) * deviation;
  return Float32Array.from(gaps, (g, i) => 0.5 * ((g - m) / s) ** 2 - i);
}

function sumLogps(pair: CasePair, who: 'policy' | 'ref', side: 'chosen' | 'rejected'): number {
  return pair[`${who}_${side}_logits`].reduce((sum, logits, t) => {
    const largest = Math.max(...logits);
    const lse = largest + Math.log(logits.reduce((n, z) => n + Math.exp(z - largest), 0));
    return sum + logits[pair[`${side}_ids`][t]] - lse;
  }, 0);
}

function describe(
  gpu: Gpu,
  { name, hp }: CaseRequest,
  active: ActiveObjective,
  rows: CaseRows,
  values: Record<string, Float32Array>,
  facts: { pairs: number; dispatches: number; initial: Readonly<Record<string, number>> },
): CaseResult {
  const perAnswer = (side: 'chosen' | 'rejected', tokens: Float32Array | undefined, width = 1) =>
    Array.from({ length: facts.pairs }, (_, p) => {
      const [start, end] = [rows[side][2 * p], rows[side][2 * p + 1]];
      const part = Array.from((tokens ?? new Float32Array(end * width)).subarray(start * width, end * width));
      return width === 1
        ? part
        : Array.from({ length: end - start }, (_, t) => part.slice(t * width, (t + 1) * width));
    });
  const common = {
    name,
    hp,
    loss: values.loss[0],
    losses: Array.from(values.losses),
    grad_chosen: perAnswer('chosen', values.gradient),
    grad_rejected: perAnswer('rejected', values.gradient),
    chosen_rewards: Array.from(values.chosenRewards),
    rejected_rewards: Array.from(values.rejectedRewards),
    adapter: `${gpu.adapterName} (${gpu.driver})`,
    dispatches: facts.dispatches,
  };
  if (active.bmc !== undefined) {
    return {
      ...common,
      weight_chosen: perAnswer('chosen', values.weights),
      weight_rejected: perAnswer('rejected', values.weights),
    };
  }
  if (active.name !== 'epsilon-dpo') return common;
  const steps = Array.from(values['epsilon/decrease'], (down, i) => down - values['epsilon/increase'][i]);
  const [beta, epsilon] = [facts.initial.beta, Number(active.settings.step_epsilon)];
  const betaPerPair = steps.map((step) => beta / (1 + epsilon * step));
  const next =
    active.settings.beta_update === 'mean_beta'
      ? beta * values['step.factors'][0]
      : beta / (1 + epsilon * values['step.steps'][0]);
  return {
    ...common,
    steps,
    beta_per_pair: betaPerPair,
    beta_next: next,
    grad_chosen_logits: perAnswer('chosen', values.logitGradient, rows.vocabulary),
    grad_rejected_logits: perAnswer('rejected', values.logitGradient, rows.vocabulary),
  };
}
