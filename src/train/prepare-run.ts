/** Everything that a run has before its first step: model, data, reference, chosen kernels, and the trainer on them. */
import { carryWeights } from '../data/examples.ts';
import { loadTokenizer } from '../data/load-tokenizer.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { ModelLocation } from '../formats/model-location.ts';
import type { OutputFile } from '../formats/output-file.ts';
import type { Gpu } from '../gpu/device.ts';
import { activate } from '../objectives/choice.ts';
import type { TrainConfig } from './config.ts';
import { loadData } from './data.ts';
import { chooseKernels } from './kernel-choices.ts';
import { loadPolicy, locatePolicy } from './policy.ts';
import { plannedReference, prepareReference } from './reference.ts';
import { findCheckpoint, type RunDigests, restore } from './run-checkpoint.ts';
import { digestsOf } from './run-digests.ts';
import { companionsOf } from './saving.ts';
import type { TrainOptions } from './train.ts';
import { Trainer, type TrainerOptions } from './trainer.ts';

export interface PreparedRun {
  readonly options: TrainerOptions;
  /** Opened, and where a checkpoint is continued, at its step. */
  readonly trainer: Trainer;
  readonly tokenizer: Tokenizer;
  readonly location: ModelLocation;
  /** Saved with the model, with the chat template with which it has seen conversations. */
  readonly companions: readonly OutputFile[];
  readonly checkpoint: Awaited<ReturnType<typeof findCheckpoint>>;
  /** Of what the run reads, for its checkpoints. */
  readonly digests: RunDigests;
  /** Lets go of the reference. */
  close(): Promise<void>;
}

/**
 * @param note told what is worth a line
 * @throws InputError for whatever is wrong with model, data or checkpoint
 */
export async function prepareRun(
  gpu: Gpu,
  config: TrainConfig,
  note: (line: string) => void,
  { resume, force = false }: TrainOptions = {},
): Promise<PreparedRun> {
  const { files } = gpu.runtime;
  const location = await locatePolicy(files, config, note, force);
  const tokenizer = await loadTokenizer(files, location.tokenizer, config.data.chat_template);
  const policy = await loadPolicy(gpu, config, location);
  try {
    return await prepareAround({ policy, location, tokenizer }, gpu, config, note, resume);
  } catch (error) {
    policy.free();
    throw error;
  }
}

/** Everything but the policy, which is there. */
async function prepareAround(
  {
    policy,
    location,
    tokenizer,
  }: Pick<PreparedRun, 'location' | 'tokenizer'> & Pick<TrainerOptions, 'policy'>,
  gpu: Gpu,
  config: TrainConfig,
  note: (line: string) => void,
  resume: string | boolean | undefined,
): Promise<PreparedRun> {
  const { files } = gpu.runtime;
  const { training, seed } = config;
  const { needs } = activate(config.objective);
  const data = await loadData(files, config, needs, tokenizer, policy.config, note);
  const dataWeights = carryWeights(data.train) || carryWeights(data.eval);
  const objective = activate({ ...config.objective, dataWeights });
  const parts = { gpu, objective, policy, ...data, training, seed };
  const digests = await digestsOf(data, policy.checksum);
  const checkpoint = await findCheckpoint(gpu.runtime, config, resume, digests, note);
  // Before the reference: its log-probs must be made by the kernels that make the policy's, or they differ in rounding.
  const planned = plannedReference(config, objective, policy);
  const asPlanned = { ...parts, reference: planned };
  await chooseKernels(asPlanned, checkpoint?.state.kernel_choices, note);
  // The compilers work while the reference is computed. What fails here fails again where it is waited for.
  Trainer.plan(asPlanned)
    .compile()
    .catch(() => {});
  const prepared = await prepareReference(gpu, config, objective, policy, location, data, note);
  try {
    const options: TrainerOptions = { ...parts, reference: prepared.reference };
    const trainer = Trainer.open(options);
    if (checkpoint !== undefined) await restore(gpu, trainer, checkpoint);
    const isOwnTemplate = config.data.chat_template === undefined && location.tokenizer === location.path;
    const chatTemplate = isOwnTemplate ? undefined : tokenizer.chatTemplate;
    const close = () => prepared.close();
    const companions = await companionsOf(gpu, policy, chatTemplate);
    return { options, trainer, tokenizer, location, companions, checkpoint, digests, close };
  } catch (error) {
    await prepared.close();
    throw error;
  }
}
