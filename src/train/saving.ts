/** What a run writes: the model in its own layout, and everything a resumed run needs. */
import { download, rowLength, type Shard, type Tensor } from '../autograd/tensor.ts';
import { type FloatDType, narrow } from '../formats/half.ts';
import { modelFiles, tokenizerFiles } from '../formats/model-files.ts';
import { jsonFile, type OutputFile } from '../formats/output-file.ts';
import { adapterFiles } from '../formats/peft.ts';
import { SafetensorsFile } from '../formats/safetensors.ts';
import { type OutputTensor, safetensorsFile } from '../formats/safetensors-writer.ts';
import type { Gpu } from '../gpu/device.ts';
import { PIECE_BYTES, UploadRing } from '../gpu/staging.ts';
import type { LoadedModel } from '../models/loading/load.ts';
import type { ObjectiveState } from '../objectives/objective.ts';
import type { BestState } from './best-checkpoint.ts';
import type { IntervalState } from './log-interval.ts';

/** The numbers of trainer_state.json. What is optional was not written by older versions. */
export interface TrainerState extends Partial<BestState> {
  readonly global_step: number;
  /** Bytes of metrics.jsonl that belong to the steps done. */
  readonly metrics_offset: number;
  readonly tensorboard: { readonly file: string; readonly offset: number };
  /** What the steps since the last line of metrics add to the next one. */
  readonly log_interval?: IntervalState;
  /** Seconds that training took so far. */
  readonly train_seconds?: number;
  readonly objective_state: Readonly<Record<string, number>>;
  /** Variants of kernels that were chosen for this adapter; a resumed run keeps them. */
  readonly kernel_choices: Readonly<Record<string, string>>;
  /** The configuration, to refuse resuming another run. */
  readonly config: unknown;
}

/**
 * The trained model: a full one in its checkpoint's dtype, or a PEFT adapter.
 * @param chatTemplate - in place of the one of the directory it came from
 */
export async function trainedModelFiles(
  gpu: Gpu,
  loaded: LoadedModel,
  chatTemplate?: string,
): Promise<OutputFile[]> {
  const { trained, lora, directory } = loaded;
  if (trained === undefined) throw new RangeError('The model was not trained.');
  const files = gpu.runtime.files;
  if (lora !== undefined) {
    const tensors = [...trained.parameters.values()].map((p) => outputTensor(gpu, p.name, p.master, 'F32'));
    const config = {
      r: lora.r,
      alpha: lora.alpha,
      targetModules: [...lora.targetModules],
      // As peft writes a model of the hub.
      baseModel: directory.path.replace(/^hf:/, ''),
    };
    return [...adapterFiles(config, tensors), ...(await tokenizerFiles(files, directory.path, chatTemplate))];
  }
  const tensors = [...trained.parameters.values()].map((p) =>
    outputTensor(gpu, p.name, p.master, loaded.storedDType),
  );
  return modelFiles(files, directory.path, tensors, { dtype: loaded.storedDType, chatTemplate });
}

/** @param state f32 tensors by name: what `Trainer.checkpointTensors` gives */
export function optimizerFile(gpu: Gpu, state: ReadonlyMap<string, Tensor>): OutputFile {
  const tensors = [...state].map(([name, tensor]) => outputTensor(gpu, name, tensor, 'F32'));
  return safetensorsFile('optimizer.safetensors', tensors);
}

export function trainerStateFile(state: TrainerState): OutputFile {
  return jsonFile('trainer_state.json', state);
}

/** Puts tensors back as the checkpoint at `path` has them. */
export async function restoreOptimizer(
  gpu: Gpu,
  path: string,
  state: Iterable<readonly [string, Tensor]>,
): Promise<void> {
  const file = await SafetensorsFile.open(await gpu.runtime.files.open(`${path}/optimizer.safetensors`));
  const ring = new UploadRing(gpu, PIECE_BYTES);
  try {
    for (const [name, tensor] of state) {
      const rowBytes = 4 * rowLength(tensor.shape);
      for (const { shard, start, bytes } of pieces(tensor))
        await ring.write(shard, await file.readRange(name, shard.rowStart * rowBytes + start, bytes), start);
    }
  } finally {
    ring.free();
    await file.close();
  }
}

export async function readState(gpu: Gpu, state: ObjectiveState): Promise<Record<string, number>> {
  const values: Record<string, number> = {};
  for (const [name, tensor] of Object.entries(state)) values[name] = (await download(gpu, tensor))[0];
  return values;
}

/** The bytes of an f32 tensor in its order, in pieces that host memory has room for. */
function* pieces({ shards, shape }: Tensor): Generator<{ shard: Shard; start: number; bytes: number }> {
  for (const shard of shards) {
    const end = 4 * shard.rows * rowLength(shape);
    for (let start = 0; start < end; start += PIECE_BYTES)
      yield { shard, start, bytes: Math.min(PIECE_BYTES, end - start) };
  }
}

/** A tensor as it goes into a file. */
function outputTensor(gpu: Gpu, name: string, tensor: Tensor, dtype: FloatDType): OutputTensor {
  return {
    name,
    dtype,
    shape: tensor.shape,
    async *read() {
      for (const { shard, start, bytes } of pieces(tensor))
        yield narrow(new Float32Array(await gpu.read(shard, start, bytes)), dtype);
    },
  };
}
