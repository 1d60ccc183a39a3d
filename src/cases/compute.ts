/**
 * Cases of objectives, computed with the production kernels and the very graph that training runs. Logits go in as
 * hidden states with an identity head.
 */
import { allocateTensor, download, freeTensor, type Tensor, upload, whole } from '../autograd/tensor.ts';
import type { Gpu } from '../gpu/device.ts';
import { Program, type Recorder } from '../gpu/program.ts';
import { type ActiveObjective, activate } from '../objectives/choice.ts';
import type { Answers, ObjectiveState, TokenInputs } from '../objectives/objective.ts';
import { type ObjectiveRun, runObjective } from '../objectives/run.ts';
import { accumulate, tapeFor } from '../ops/index.ts';
import { epsilonLogps } from '../ops/logps/epsilon-logps.ts';
import { tokenLogps } from '../ops/logps/token-logps.ts';
import type { CasePair, CaseRequest } from './file.ts';
import { type CaseRows, caseRows } from './rows.ts';

/** What the GPU computed for one case, by name; 'state.NAME' is the state after the step. */
export interface CaseValues {
  readonly active: ActiveObjective;
  readonly rows: CaseRows;
  readonly values: Readonly<Record<string, Float32Array>>;
  readonly dispatches: number;
}

const BMC_KEYS: readonly string[] = ['delta', 'diff', 'reference_weights'];
/** Settings of a case that stand for the state before the step. */
const STATE_KEYS: Readonly<Record<string, string>> = { gap_mean_before: 'mean', gap_std_before: 'deviation' };

/** The objective a case names: 'x_y' is 'x-y', 'x_bmc' is x with BMC weights. @throws InputError */
export function objectiveOfCase({ name, hp }: CaseRequest): {
  readonly active: ActiveObjective;
  readonly state: Readonly<Record<string, number>>;
} {
  const hasBmc = name.endsWith('_bmc');
  const group = (key: string) =>
    Object.hasOwn(STATE_KEYS, key) ? 'state' : hasBmc && BMC_KEYS.includes(key) ? 'bmc' : 'settings';
  const part = (wanted: string) =>
    Object.fromEntries(Object.entries(hp).filter(([key]) => group(key) === wanted));
  const active = activate({
    name: (hasBmc ? name.slice(0, -'_bmc'.length) : name).replaceAll('_', '-'),
    settings: part('settings'),
    bmc: hasBmc ? part('bmc') : undefined,
  });
  const given = Object.entries(part('state')).map(([key, value]) => [STATE_KEYS[key], Number(value)]);
  return { active, state: { ...active.initState, ...Object.fromEntries(given) } };
}

/** Computes one case over a batch of pairs: one training step, up to the gradient of the logits and the next state. */
export async function computeCase(
  gpu: Gpu,
  pairs: readonly CasePair[],
  request: CaseRequest,
): Promise<CaseValues> {
  const { active, state } = objectiveOfCase(request);
  const rows = caseRows(pairs, active.needs.differences ?? 'levenshtein');
  const tensors = new CaseTensors(gpu, rows, active, state);
  const kept: Record<string, Tensor> = {};
  try {
    const program = await Program.build(gpu, request.name, (recorder) => {
      for (const [name, tensor] of Object.entries(recordCase(recorder, active, tensors))) {
        if (tensor === undefined) continue;
        kept[name] = tensor;
        recorder.keep(whole(tensor).storage);
      }
    });
    program.run();
    const values: Record<string, Float32Array> = {};
    for (const [name, tensor] of Object.entries(kept)) values[name] = await download(gpu, tensor);
    const dispatches = program.dispatchCount;
    program.free();
    await gpu.settle();
    return { active, rows, values, dispatches };
  } finally {
    tensors.free();
  }
}

/** The step that training makes, from hidden states on. */
function recordCase(
  recorder: Recorder,
  active: ActiveObjective,
  tensors: CaseTensors,
): Record<string, Tensor | undefined> {
  const { policy, state } = tensors;
  const tape = tapeFor(recorder);
  const inputs: TokenInputs = { ...tensors.known, ...tokenLogProbs(tape, active, tensors) };
  const run = runObjective(recorder, active, inputs, state);
  if (run.gradient === undefined) throw new RangeError(`${active.name} gave no gradient.`);
  tape.backward(inputs.logps, run.gradient);
  return {
    ...namedResults(run),
    logitGradient: tape.gradientOf(policy),
    ...nextState(recorder, active, run, state),
  };
}

function tokenLogProbs(
  tape: ReturnType<typeof tapeFor>,
  active: ActiveObjective,
  { policy, reference, head, targets }: CaseTensors,
): Pick<TokenInputs, 'logps' | 'refLogps' | 'logpSteps'> {
  if (active.needs.reference === 'logits') {
    const attributes = { targets, epsilon: active.needs.perturbation ?? 0 };
    const [logps, refLogps, plus, minus] = tape.apply(
      epsilonLogps,
      [policy, head, reference, head],
      attributes,
    );
    return { logps, refLogps, logpSteps: { plus, minus } };
  }
  const [logps] = tape.apply(tokenLogps, [policy, head], { targets });
  if (active.needs.reference === 'none') return { logps };
  return { logps, refLogps: tape.apply(tokenLogps, [reference, head], { targets })[0] };
}

function namedResults(run: ObjectiveRun): Record<string, Tensor | undefined> {
  return {
    ...run.metrics,
    ...run.scalars,
    ...run.details,
    loss: run.loss,
    losses: run.losses,
    gradient: run.gradient,
    weights: run.weights,
    contributions: run.contributions,
    chosenRewards: run.rewards.chosen,
    rejectedRewards: run.rewards.rejected,
  };
}

/** Adds up the accumulators and takes the step of the state, as the loop does. */
function nextState(
  recorder: Recorder,
  active: ActiveObjective,
  run: ObjectiveRun,
  state: ObjectiveState,
): Record<string, Tensor> {
  for (const [name, value] of Object.entries(run.accumulate ?? {})) {
    accumulate(recorder, value, { tensor: state[name], accumulate: true });
  }
  const next = active.nextState?.(tapeFor(recorder), state) ?? {};
  return Object.fromEntries(Object.entries(next).map(([name, value]) => [`state.${name}`, value]));
}

/** The inputs of a case on the GPU. */
class CaseTensors {
  readonly policy: Tensor;
  readonly reference: Tensor;
  readonly head: Tensor;
  readonly targets: Tensor;
  readonly known: Omit<TokenInputs, 'logps'>;
  readonly state: ObjectiveState;
  readonly #gpu: Gpu;
  readonly #made: Tensor[] = [];

  constructor(gpu: Gpu, rows: CaseRows, active: ActiveObjective, state: Readonly<Record<string, number>>) {
    this.#gpu = gpu;
    const { vocabulary } = rows;
    const [count, pairs] = [rows.targets.length, rows.chosen.length / 2];
    this.policy = { ...this.#make('policy logits', [count, vocabulary], rows.policy), requiresGrad: true };
    this.reference = this.#make('reference logits', [count, vocabulary], rows.reference);
    this.head = this.#make('identity head', [vocabulary, vocabulary], identity(vocabulary));
    this.targets = this.#make('targets', [count], rows.targets);
    const chosenTokens = tokenCounts(rows.chosen).reduce((a, b) => a + b, 0);
    const perPair = (label: string, value: (pair: number) => number) =>
      this.#make(
        label,
        [pairs],
        Float32Array.from({ length: pairs }, (_, p) => value(p)),
      );
    const kept = Math.floor(pairs * (1 - Number(active.settings.rho ?? 0)));
    this.known = {
      chosen: this.#answers(rows.chosen),
      rejected: this.#answers(rows.rejected),
      mismatched: this.#answers(rows.mismatched),
      diff: this.#make('diff', [count], rows.diff),
      pairWeights: perPair('pair weights', () => 1 / pairs),
      likelihoodWeights: perPair('likelihood weights', () => 1 / chosenTokens),
      labels: {
        desirable: perPair('desirable', () => 0.5 / pairs),
        undesirable: perPair('undesirable', () => 0.5 / pairs),
      },
      gumbels: perPair('gumbels', () => 0),
      // In such a file the first pairs stand for beta-DPO's random draw.
      selection: perPair('selection', (p) => (p < kept ? 1 / kept : 0)),
      training: true,
    };
    this.state = Object.fromEntries(
      Object.entries(state).map(([name, value]) => [name, this.#make(name, [1], new Float32Array([value]))]),
    );
  }

  free(): void {
    for (const tensor of this.#made) freeTensor(this.#gpu, tensor);
  }

  #answers(segments: readonly number[]): Answers {
    const counts = tokenCounts(segments);
    return {
      segments: this.#make('segments', [counts.length, 2], Uint32Array.from(segments)),
      lengths: this.#make(
        'lengths',
        [counts.length],
        Float32Array.from(counts, (n) => Math.max(1, n)),
      ),
    };
  }

  #make(
    label: string,
    shape: readonly number[],
    values: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>,
  ): Tensor {
    const dtype = values instanceof Float32Array ? 'f32' : 'u32';
    const tensor = allocateTensor(this.#gpu, label, shape, dtype, 'batch');
    this.#made.push(tensor);
    upload(this.#gpu, tensor, values);
    return tensor;
  }
}

function tokenCounts(segments: readonly number[]): number[] {
  return Array.from({ length: segments.length / 2 }, (_, p) => segments[2 * p + 1] - segments[2 * p]);
}

function identity(size: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0));
}
