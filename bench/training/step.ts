/** Trainers on random rows, whose steps can be timed one at a time. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  activate,
  chooseKernels,
  Gpu,
  loadPolicy,
  locatePolicy,
  type PairExample,
  plannedReference,
  prepareReference,
  randomWord,
  Trainer,
  trainConfigFrom,
} from '../../src/engine.ts';
import type { Runtime, TrainConfigInput } from '../../src/index.ts';
import { type LlamaSize, writeRandomLlama } from '../random-llama.ts';

export interface StepSetup {
  readonly objective: TrainConfigInput['objective'];
  readonly pairs: readonly PairExample[];
  readonly reference?: TrainConfigInput['reference'];
  readonly training?: TrainConfigInput['training'];
  /** Without it: full fine-tuning on a CPU adapter, GPU_LORA on a GPU. */
  readonly lora?: TrainConfigInput['lora'];
  /** Of the frozen weights; default those of the files. */
  readonly bits?: 8 | 4;
}

export interface OpenTrainer {
  /** Of the step that was taken when it was opened. */
  readonly firstLoss: number;
  /** Weights that are trained. */
  readonly trainedCount: number;
  /** One more optimizer step, waited for. */
  step(): Promise<void>;
  free(): void;
}

/** On a GPU, steps are those that people run there: LoRA on frozen weights in 16 bits, by kernels that were tuned. */
const GPU_LORA = {
  r: 16,
  lora_alpha: 32,
  target_modules: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
};

/** Opens trainers of one random model; all of them share the device. */
export class StepBench {
  readonly gpu: Gpu;
  readonly parameters: number;
  readonly #model: string;

  private constructor(gpu: Gpu, model: string, parameters: number) {
    this.gpu = gpu;
    this.#model = model;
    this.parameters = parameters;
  }

  static async open(runtime: Runtime, size: LlamaSize): Promise<StepBench> {
    const model = join(mkdtempSync(join(tmpdir(), 'prefgrad-bench-')), 'model');
    const gpu = await Gpu.open(runtime);
    const parameters = await writeRandomLlama(model, size, gpu.isCpu ? 'F32' : 'BF16');
    return new StepBench(gpu, model, parameters);
  }

  /** Opens a trainer and takes its first step. */
  async trainer(setup: StepSetup): Promise<OpenTrainer> {
    const { gpu } = this;
    const longest = Math.max(
      ...setup.pairs.map((p) => p.promptIds.length + Math.max(p.chosen.ids.length, p.rejected.ids.length)),
    );
    const config = trainConfigFrom({
      model: { path: this.#model, load_in_8bit: setup.bits === 8, load_in_4bit: setup.bits === 4 },
      objective: setup.objective,
      reference: setup.reference,
      lora: setup.lora ?? (gpu.isCpu ? undefined : GPU_LORA),
      data: { train: 'rows', max_length: longest },
      training: {
        learning_rate: 1e-6,
        max_steps: 1_000_000,
        per_device_train_batch_size: setup.pairs.length,
        max_tokens_per_micro_batch: 1_000_000,
        gradient_checkpointing: false,
        lr_scheduler_type: 'constant',
        warmup_ratio: 0,
        ...setup.training,
      },
      output_dir: mkdtempSync(join(tmpdir(), 'prefgrad-bench-')),
    });
    const objective = activate(config.objective);
    const location = await locatePolicy(gpu.runtime.files, config, () => {});
    const policy = await loadPolicy(gpu, config, location);
    const data = { train: setup.pairs, eval: [] };
    const parts = {
      gpu,
      objective,
      policy,
      ...data,
      // Planning a million steps would take longer than timing some of them.
      training: { ...config.training, max_steps: 64 },
      seed: config.seed,
    };
    const reference = plannedReference(config, objective, policy);
    await chooseKernels({ ...parts, reference }, undefined, () => {});
    const prepared = await prepareReference(gpu, config, objective, policy, location, data, () => {});
    const options = { ...parts, reference: prepared.reference };
    const trainer = Trainer.open(options);
    await trainer.warmUp();
    const first = await trainer.runStep();
    return {
      firstLoss: first.metrics.loss,
      trainedCount: [...(policy.trained?.parameters.values() ?? [])].reduce(
        (sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1),
        0,
      ),
      async step() {
        trainer.step %= 64;
        await trainer.runStep();
      },
      free() {
        trainer.free();
        policy.free();
        // With a live reference that is all there is to close.
        void prepared.close();
      },
    };
  }
}

/** Seeded pairs with prompts and answers of exactly these lengths. */
export function pairsOf(
  count: number,
  promptLength: number,
  answerLength: number,
  vocabulary: number,
): PairExample[] {
  const ids = (stream: number, n: number) =>
    Int32Array.from({ length: n }, (_, t) => 3 + (randomWord(31, stream, t) % (vocabulary - 3)));
  return Array.from({ length: count }, (_, index): PairExample => {
    const answer = (stream: number) => {
      const own = ids(stream, answerLength);
      // Half of the tokens differ from the other answer.
      return { ids: own, diff: Uint8Array.from(own, (_, t) => t % 2) };
    };
    return {
      kind: 'pair',
      index,
      line: index + 1,
      promptIds: ids(10 * index, promptLength),
      chosen: answer(10 * index + 1),
      rejected: answer(10 * index + 2),
      truncated: false,
    };
  });
}
