/**
 * One rank of the benchmark of ranks, started by run.ts:
 *
 *   mpirun -n N node --import tsx bench/ranks/job.ts full|lora ROUNDS
 *
 * Rank 0 prints what it measured as one line of JSON.
 */
import { detectRuntime, type TrainConfigInput } from '../../src/index.ts';
import { jobOf } from '../../src/runtime/open-mpi.ts';
import { type Ranks, withRanks } from '../../src/runtime/ranks.ts';
import { median, takeTurns } from '../timing.ts';
import { pairsOf, StepBench } from '../training/step.ts';

/** Of one step. */
export interface Exchanged {
  readonly count: number;
  readonly bytes: number;
  /** In MPI, with the waiting for other ranks. */
  readonly ms: number;
  /** Of these, while the device still had work: the rest of the backward pass. */
  readonly hidden_ms: number;
}

export interface Measured {
  readonly parameters: number;
  readonly trained: number;
  readonly firstLoss: number;
  readonly step_ms: number;
  /** The same steps, in which nothing is exchanged. */
  readonly without_ms: number;
  readonly sums: Exchanged;
  readonly gathers: Exchanged;
}

const SIZE = { vocabulary: 2048, hidden: 256, inner: 704, layers: 8, heads: 4, kvHeads: 4 };
const LORA: TrainConfigInput['lora'] = {
  r: 16,
  lora_alpha: 32,
  target_modules: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
};
const PAIRS = 8;

class Counter {
  #count = 0;
  #bytes = 0;
  #ms = 0;
  #hidden = 0;

  async time(bytes: number, exchange: () => Promise<void>): Promise<void> {
    const start = performance.now();
    let idleFrom = Number.POSITIVE_INFINITY;
    // Nothing is submitted while an exchange is under way.
    void bench.gpu.device.queue.onSubmittedWorkDone().then(() => {
      idleFrom = performance.now();
    });
    await exchange();
    const end = performance.now();
    this.#count++;
    this.#bytes += bytes;
    this.#ms += end - start;
    this.#hidden += Math.min(end, idleFrom) - start;
  }

  perStep(steps: number): Exchanged {
    return {
      count: this.#count / steps,
      bytes: this.#bytes / steps,
      ms: this.#ms / steps,
      hidden_ms: this.#hidden / steps,
    };
  }
}

const [mode, rounds] = process.argv.slice(2);
const job = jobOf(process.env);
const sums = new Counter();
const gathers = new Counter();
let isExchanging = true;
const observed: Ranks = {
  ...job,
  allReduceSum(values, into) {
    if (isExchanging) return sums.time(values.byteLength, () => job.allReduceSum(values, into));
    into.set(values);
    return Promise.resolve();
  },
  allGatherInto(bytes, all) {
    if (isExchanging) return gathers.time(bytes.length * job.size, () => job.allGatherInto(bytes, all));
    for (let rank = 0; rank < job.size; rank++) all.set(bytes, rank * bytes.length);
    return Promise.resolve();
  },
};

const runtime = await detectRuntime();
const bench = await StepBench.open(job.size > 1 ? withRanks(runtime, observed) : runtime, SIZE);
const trainer = await bench.trainer({
  objective: { name: 'simpo' },
  pairs: pairsOf(PAIRS, 16, 32, SIZE.vocabulary),
  lora: mode === 'lora' ? LORA : undefined,
  training: { max_tokens_per_micro_batch: 4096 },
});
const stepThat = (exchanges: boolean) => async () => {
  isExchanging = exchanges;
  await trainer.step();
};
const [inStep, without] = [
  { name: 'exchanging', run: stepThat(true) },
  { name: 'without', run: stepThat(false) },
];
const times = await takeTurns(job.size > 1 ? [inStep, without] : [inStep], Number(rounds));
// The first step, and one to warm up.
const steps = Number(rounds) + 2;
const measured: Measured = {
  parameters: bench.parameters,
  trained: trainer.trainedCount,
  firstLoss: trainer.firstLoss,
  step_ms: median(times.exchanging),
  without_ms: median(times.without ?? times.exchanging),
  sums: sums.perStep(steps),
  gathers: gathers.perStep(steps),
};
if (job.rank === 0) console.log(JSON.stringify(measured));
trainer.free();
bench.gpu.close();
if (job.size > 1) await job.finish();
