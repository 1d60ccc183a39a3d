/** The model that a run trains: where it is, and how it is loaded. */
import { InputError } from '../errors.ts';
import { writeDirectory } from '../formats/directory-writer.ts';
import { locateModel, type ModelLocation } from '../formats/model-location.ts';
import { PeftAdapter } from '../formats/peft.ts';
import type { Gpu } from '../gpu/device.ts';
import { type LoadedModel, type LoadOptions, loadModel } from '../models/loading/load.ts';
import { loadLocated } from '../models/loading/load-with-adapter.ts';
import { openMerge } from '../models/loading/merge.ts';
import type { FileSystem } from '../runtime/runtime.ts';
import type { TrainConfig } from './config.ts';

/** Where the merged base of `adapter_mode: merge_and_new` is written, below the output directory. */
export const MERGED_BASE = 'merged-base';

/**
 * Where the model of a run is. With `adapter_mode: merge_and_new` the adapter is merged into its base first, into the output
 * directory, where a resumed run and the adapter that is trained on it find it.
 * @param force merges anew where an earlier run has done so, maybe of others
 * @throws InputError for an adapter that does not fit its model
 */
export async function locatePolicy(
  files: FileSystem,
  { model, output_dir }: TrainConfig,
  note: (line: string) => void,
  force = false,
): Promise<ModelLocation> {
  const location = await locateModel(files, model.path, model.adapter);
  if (location.adapter === undefined || model.adapter_mode === 'continue') return location;
  const path = `${output_dir}/${MERGED_BASE}`;
  if (force || !(await files.exists(`${path}/config.json`))) {
    note(`Merging ${location.adapter} into ${location.path}: ${path}`);
    const merge = await openMerge(files, location);
    try {
      await writeDirectory(files, path, merge.files);
    } finally {
      await merge.close();
    }
  }
  return { path, adapter: undefined, tokenizer: path };
}

/** @throws InputError for an adapter that does not fit the model, or the group `lora` */
export async function loadPolicy(
  gpu: Gpu,
  config: TrainConfig,
  location: ModelLocation,
): Promise<LoadedModel> {
  const { lora } = config;
  if (location.adapter === undefined) {
    const train =
      lora === undefined
        ? ('full' as const)
        : { r: lora.r, alpha: lora.lora_alpha, targetModules: lora.target_modules };
    return loadModel(gpu, location.path, { ...loadOptions(config), train });
  }
  if (lora !== undefined) await checkSameLora(gpu.runtime.files, location.adapter, lora);
  return loadLocated(gpu, location, loadOptions(config));
}

function loadOptions({ model, data, seed }: TrainConfig): Omit<LoadOptions, 'train'> {
  const quantize = model.load_in_4bit ? 'nf4' : model.load_in_8bit ? 'i8' : undefined;
  return { init: model.init, dtype: model.dtype, quantize, positions: data.max_length, seed };
}

/** An adapter that goes on keeps its rank, scale and modules. */
async function checkSameLora(
  files: FileSystem,
  path: string,
  { r, lora_alpha, target_modules }: NonNullable<TrainConfig['lora']>,
): Promise<void> {
  const adapter = await PeftAdapter.open(files, path);
  await adapter.close();
  const { config } = adapter;
  const text = (rank: number, alpha: number, modules: readonly string[]) =>
    `r ${rank}, lora_alpha ${alpha}, target_modules ${[...modules].sort().join(', ')}`;
  const [own, wanted] = [
    text(config.r, config.alpha, config.targetModules),
    text(r, lora_alpha, target_modules),
  ];
  if (own === wanted) return;
  throw new InputError(
    `lora: it asks for ${wanted}, but ${path} has ${own}. Remove this group to train that adapter on, or set ` +
      'model.adapter_mode: merge_and_new for a new one.',
  );
}
