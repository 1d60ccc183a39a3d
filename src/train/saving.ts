/** What a run writes: the model in its own layout, and everything a resumed run needs. */
import { download, rowLength, type Tensor } from '../autograd/tensor.ts';
import { InputError } from '../errors.ts';
import { Checksum } from '../formats/checksum.ts';
import { decodeFloats, encodeFloats, type FloatDType } from '../formats/half.ts';
import { readJson } from '../formats/json-file.ts';
import { companionFiles, tokenizerFiles, weightFiles } from '../formats/model-files.ts';
import { jsonFile, type OutputFile } from '../formats/output-file.ts';
import { adapterFiles } from '../formats/peft.ts';
import { SafetensorsFile } from '../formats/safetensors.ts';
import { type OutputTensor, safetensorsFile } from '../formats/safetensors-writer.ts';
import type { Gpu } from '../gpu/device.ts';
import { PIECE_BYTES, UploadRing } from '../gpu/staging.ts';
import type { LoadedModel } from '../models/loading/load.ts';
import { isShared, readShared, type SharedTensor, writeShared } from '../nn/shares.ts';
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
    [...trained.parameters.values()].map((p) => outputTensor(gpu, p.name, p.held, dtype));
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
export function optimizerFiles(gpu: Gpu, state: ReadonlyMap<string, Tensor | SharedTensor>): OutputFile[] {
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
  state: Iterable<readonly [string, Tensor | SharedTensor]>,
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
      for (const { first, count, write } of pieces(gpu, tensor)) {
        const piece = await file.readRange(name, 4 * first, 4 * count);
        sum.add(piece);
        await write(ring, decodeFloats(piece, 'F32'));
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

/** Consecutive elements of an f32 tensor, as many as host memory has room for. */
interface Piece {
  readonly first: number;
  readonly count: number;
  /** All of them, also where ranks hold them between them; then every rank must ask. */
  read(): Promise<Float32Array<ArrayBuffer>>;
  /** Puts back what this process holds of them. */
  write(ring: UploadRing, values: Float32Array<ArrayBuffer>): Promise<void>;
}

/** All elements of a tensor, in their order. */
function* pieces(gpu: Gpu, tensor: Tensor | SharedTensor): Generator<Piece> {
  if (isShared(tensor)) {
    for (const part of tensor.parts)
      for (const { start, count } of cut(part.count))
        yield {
          first: part.first + start,
          count,
          read: () => readShared(gpu, part, start, count),
          write: (ring, values) => writeShared(ring, part, start, values),
        };
    return;
  }
  const length = rowLength(tensor.shape);
  for (const shard of tensor.shards)
    for (const { start, count } of cut(shard.rows * length))
      yield {
        first: shard.rowStart * length + start,
        count,
        read: async () => new Float32Array(await gpu.read(shard, 4 * start, 4 * count)),
        write: (ring, values) => ring.write(shard, values, 4 * start),
      };
}

function* cut(elements: number): Generator<{ readonly start: number; readonly count: number }> {
  const most = PIECE_BYTES / 4;
  for (let start = 0; start < elements; start += most)
    yield { start, count: Math.min(most, elements - start) };
}

/** A tensor as it goes into a file. */
function outputTensor(
  gpu: Gpu,
  name: string,
  tensor: Tensor | SharedTensor,
  dtype: FloatDType,
): OutputTensor {
  return {
    name,
    dtype,
    shape: tensor.shape,
    async *read() {
      for (const piece of pieces(gpu, tensor)) yield encodeFloats(await piece.read(), dtype);
    },
  };
}
