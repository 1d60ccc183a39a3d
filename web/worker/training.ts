/**
 * A training run that the page drives step by step. It is a run of `prefgrad train`: a directory in the engine's tree of files
 * with the model it starts from, the pairs, and all that the command leaves, so that the command continues it.
 *
 *   prefgrad-run/base             the model
 *   prefgrad-run/start-adapter    its adapter, where it has one
 *   prefgrad-run/pairs.jsonl
 *   prefgrad-run/config.yaml, metrics.jsonl, checkpoint-STEP/, model/, ...
 */
import {
  activate,
  type Gpu,
  type LoadedModel,
  loadWithAdapter,
  SteppedRun,
  type TrainConfig,
  trainConfigFrom,
} from '../../src/engine.ts';
import { InputError, type MemoryFiles } from '../../src/index.ts';
import type { Slot } from './model-slots.ts';
import type { NamedFile, StepReport, TrainRequest } from './protocol.ts';

/** The directory, and the output directory of the configuration, under the same name wherever it is unpacked. */
export const RUN = 'prefgrad-run';
/** Steps between checkpoints while a run goes on. */
export const KEEP_EVERY = 10;
const BASE = `${RUN}/base`;
const START_ADAPTER = `${RUN}/start-adapter`;
const PAIRS = `${RUN}/pairs.jsonl`;

/** What a run has no use for elsewhere. */
const NOT_KEPT = /^(reference-cache\/|\.lock$)/;

/** The request without its rows, which are a file. */
export type RunRequest = Omit<TrainRequest, 'pairs'>;

export class Training {
  readonly request: RunRequest;
  readonly config: TrainConfig;
  readonly #run: SteppedRun;
  readonly #files: MemoryFiles;

  private constructor(request: RunRequest, config: TrainConfig, run: SteppedRun, files: MemoryFiles) {
    this.request = request;
    this.config = config;
    this.#run = run;
    this.#files = files;
  }

  /** A new run, in place of what the directory had. @throws InputError for what cannot be trained */
  static async start(
    gpu: Gpu,
    files: MemoryFiles,
    start: Slot,
    { pairs, ...request }: TrainRequest,
    note: (line: string) => void,
  ): Promise<Training> {
    await files.remove(RUN);
    await copyTree(files, start.directory, BASE);
    if (start.adapter !== undefined) await copyTree(files, start.adapter, START_ADAPTER);
    const rows = pairs.map(({ prompt, promptIds, chosen, rejected }) => {
      const ids = promptIds && Array.from(promptIds);
      const { tokenizer } = start;
      const known =
        ids && tokenizer.decode(ids[0] === tokenizer.bosId ? ids.slice(1) : ids, { atStart: true });
      return JSON.stringify({ prompt: known ?? prompt, chosen, rejected });
    });
    files.add(PAIRS, `${rows.join('\n')}\n`);
    const config = configOf(request, start);
    return new Training(request, config, await SteppedRun.open(gpu, config, false, note), files);
  }

  /** The run in the directory, from its newest checkpoint. */
  static async resume(
    gpu: Gpu,
    files: MemoryFiles,
    request: RunRequest,
    config: TrainConfig,
    note: (line: string) => void,
  ): Promise<Training> {
    return new Training(request, config, await SteppedRun.open(gpu, config, true, note), files);
  }

  get policy(): LoadedModel {
    return this.#run.policy;
  }

  get isFinished(): boolean {
    return this.#run.step >= this.#run.totalSteps;
  }

  get steps(): number {
    return this.#run.step;
  }

  /** Where the policy's base and tokenizer are. */
  get place(): Pick<Slot, 'directory' | 'adapter'> {
    return { directory: BASE, adapter: this.config.model.adapter };
  }

  async step(): Promise<Pick<StepReport, 'step' | 'metrics' | 'tokensPerSecond'>> {
    const report = await this.#run.takeStep();
    if (this.isFinished) await this.#run.saveModel();
    return report;
  }

  /** Writes a checkpoint of the steps done. @returns the whole directory */
  async save(): Promise<readonly NamedFile[]> {
    if (!(await this.#files.exists(`${RUN}/checkpoint-${this.steps}`))) await this.#run.save();
    return filesOf(this.#files, RUN, (path) => !NOT_KEPT.test(path));
  }

  /** Frees the policy too. */
  close(): Promise<void> {
    return this.#run.close();
  }
}

/** The model that the run in the directory starts from. */
export function loadStart(gpu: Gpu, { model }: TrainConfig): Promise<LoadedModel> {
  return loadWithAdapter(gpu, BASE, model.adapter, Number.MAX_SAFE_INTEGER);
}

/** What the request does not say is as `prefgrad train` has it. */
function configOf(request: RunRequest, { loaded, adapter }: Slot): TrainConfig {
  const { name, settings, bmc } = request.method;
  const isAdapter = adapter !== undefined;
  if (isAdapter && activate(request.method).needs.referenceUpdate !== undefined)
    throw new InputError(`${name} moves its reference, so it trains all weights; start from a whole model.`);
  return trainConfigFrom({
    model: { path: BASE, ...(isAdapter ? { adapter: START_ADAPTER } : {}) },
    ...(request.lora === undefined || isAdapter ? {} : { lora: loraOf(request.lora) }),
    objective: { name, settings, ...(bmc && { token_weights: { name: 'bmc', settings: bmc } }) },
    data: { train: PAIRS, max_length: loaded.config.maxPositions, on_bad_row: 'skip' },
    // Somebody waits for the first step: it computes its own rows only, and moves the weights.
    reference: { mode: 'in_step' },
    training: {
      learning_rate: request.learningRate,
      warmup_steps: 0,
      max_steps: request.steps,
      per_device_train_batch_size: request.batchSize,
      gradient_checkpointing: false,
      autotune: false,
      logging_steps: 1,
      save_steps: KEEP_EVERY,
      save_total_limit: 1,
    },
    output_dir: RUN,
    seed: request.seed,
  });
}

function loraOf({ r }: NonNullable<TrainRequest['lora']>) {
  const target_modules = [
    'q_proj',
    'k_proj',
    'v_proj',
    'o_proj',
    'gate_proj',
    'up_proj',
    'down_proj',
  ] as const;
  return { r, lora_alpha: 2 * r, target_modules: [...target_modules] };
}

async function copyTree(files: MemoryFiles, from: string, to: string): Promise<void> {
  for (const { path, file } of await filesOf(files, from)) files.add(`${to}/${path}`, file);
}

/** All files below a directory, with paths from there. */
export async function filesOf(
  files: MemoryFiles,
  directory: string,
  wanted: (path: string) => boolean = () => true,
): Promise<NamedFile[]> {
  const found: NamedFile[] = [];
  const walk = async (below: string): Promise<void> => {
    for (const name of await files.list(`${directory}/${below}`)) {
      const path = `${below}${name}`;
      if (await files.isDirectory(`${directory}/${path}`)) await walk(`${path}/`);
      else if (wanted(path)) found.push({ path, file: await files.blob(`${directory}/${path}`) });
    }
  };
  await walk('');
  return found;
}
