/** What a run writes: the model in its own layout, and everything a resumed run needs. */
import { download, rowLength, type Shard, type Tensor } from '../autograd/tensor.ts';
import { InputError } from '../errors.ts';
import { Checksum } from '../formats/checksum.ts';
import { type FloatDType, narrow } from '../formats/half.ts';
import { readJson } from '../formats/json-file.ts';
import { companionFiles, tokenizerFiles, weightFiles } from '../formats/model-files.ts';
import { jsonFile, type OutputFile } from '../formats/output-file.ts';
import { adapterFiles } from '../formats/peft.ts';
import { SafetensorsFile } from '../formats/safetensors.ts';
import { type OutputTensor, safetensorsFile } from '../formats/safetensors-writer.ts';
import type { Gpu } from '../gpu/device.ts';
import { PIECE_BYTES, UploadRing } from '../gpu/staging.ts';
import type { LoadedModel } from '../models/loading/load.ts';
import type { ObjectiveState } from '../objectives/objective.ts';
import type { TrainerState } from './trainer-state.ts';

const OPTIMIZER = 'optimizer.safetensors';
const CHECKSUMS = 'checksums.json';

/**
 * What the trained model is saved with: its configuration and tokenizer. Read before the run, which may outlive the directory
 * that they are in.
 * @param chatTemplate - in place of the one of that directory
 */
export function companionsOf(gpu: Gpu, loaded: LoadedModel, chatTemplate?: string): Promise<OutputFile[]> {
  const { lora, directory, storedDType: dtype } = loaded;
  const { files } = gpu.runtime;
  if (lora !== undefined) return tokenizerFiles(files, directory.path, chatTemplate);
  return companionFiles(files, directory.path, { dtype, chatTemplate });
}

/**
 * The trained model: a full one in its checkpoint's dtype, or a PEFT adapter.
 * @param companions - as `companionsOf` read them; without them they are read now
 */
export async function trainedModelFiles(
  gpu: Gpu,
  loaded: LoadedModel,
  companions?: readonly OutputFile[],
): Promise<OutputFile[]> {
  const { trained, lora, directory } = loaded;
  if (trained === undefined) throw new RangeError('The model was not trained.');
  const others = companions ?? (await companionsOf(gpu, loaded));
  const tensorsIn = (dtype: FloatDType) =>
    [...trained.parameters.values()].map((p) => outputTensor(gpu, p.name, p.master, dtype));
  if (lora === undefined) return [...others, ...weightFiles(tensorsIn(loaded.storedDType))];
  const config = {
    r: lora.r,
    alpha: lora.alpha,
    targetModules: [...lora.targetModules],
    // As peft writes a model of the hub.
    baseModel: directory.path.replace(/^hf:/, ''),
  };
  return [...adapterFiles(config, tensorsIn('F32')), ...others];
}

/**
 * The tensors of a checkpoint, and the checksum of each.
 * @param state f32 tensors by name: what `Trainer.checkpointTensors` gives
 */
export function optimizerFiles(gpu: Gpu, state: ReadonlyMap<string, Tensor>): OutputFile[] {
  const sums = new Map<string, string>();
  const tensors = [...state].map(([name, tensor]): OutputTensor => {
    const output = outputTensor(gpu, name, tensor, 'F32');
    return {
      ...output,
      async *read() {
        const sum = new Checksum();
        for await (const piece of output.read()) {
          sum.add(piece);
          yield piece;
        }
        sums.set(name, sum.hex());
      },
    };
  });
  // Written after the tensors, when their checksums are known.
  const checksums: OutputFile = {
    name: CHECKSUMS,
    write: (sink) => sink.write(`${JSON.stringify(Object.fromEntries(sums), null, 2)}\n`),
  };
  return [safetensorsFile(OPTIMIZER, tensors), checksums];
}

export function trainerStateFile(state: TrainerState): OutputFile {
  return jsonFile('trainer_state.json', state);
}

/** Puts tensors back as the checkpoint at `path` has them. @throws InputError for one that is missing or damaged */
export async function restoreOptimizer(
  gpu: Gpu,
  path: string,
  state: Iterable<readonly [string, Tensor]>,
): Promise<void> {
  const { files } = gpu.runtime;
  const sumsPath = `${path}/${CHECKSUMS}`;
  // Older checkpoints have none.
  const sums = (await files.exists(sumsPath)) ? await readJson(files, sumsPath) : undefined;
  const file = await SafetensorsFile.open(await files.open(`${path}/${OPTIMIZER}`));
  const ring = new UploadRing(gpu, PIECE_BYTES);
  try {
    for (const [name, tensor] of state) {
      const { dtype, shape } = file.entries.get(name) ?? {};
      if (shape !== undefined && (dtype !== 'F32' || shape.join() !== tensor.shape.join()))
        throw new InputError(
          `${path}/${OPTIMIZER}: ${name} is ${dtype} of shape [${shape}], expected F32 of shape [${tensor.shape}].`,
        );
      const sum = new Checksum();
      const rowBytes = 4 * rowLength(tensor.shape);
      for (const { shard, start, bytes } of pieces(tensor)) {
        const piece = await file.readRange(name, shard.rowStart * rowBytes + start, bytes);
        sum.add(piece);
        await ring.write(shard, piece, start);
      }
      if (sums !== undefined && sums[name] !== sum.hex())
        throw new InputError(
          `${path}/${OPTIMIZER}: ${name} is damaged, its checksum is not that of ${CHECKSUMS}. ` +
            'Resume from another checkpoint with --resume PATH.',
        );
    }
  } finally {
    ring.free();
    await file.close();
  }
}

export async function readObjectiveState(gpu: Gpu, state: ObjectiveState): Promise<Record<string, number>> {
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
