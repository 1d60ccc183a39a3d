/** A model with, where one is given, a PEFT adapter on top. */
import { upload } from '../../autograd/tensor.ts';
import { InputErrors } from '../../errors.ts';
import { decodeFloats, type FloatDType } from '../../formats/half.ts';
import { locateModel, type ModelLocation } from '../../formats/model-location.ts';
import { PeftAdapter } from '../../formats/peft.ts';
import type { Gpu } from '../../gpu/device.ts';
import type { ParameterSlabs } from '../../nn/parameters.ts';
import { type LoadedModel, type LoadOptions, loadModel } from './load.ts';

/**
 * Loads a model to be read: a model directory with or without an adapter, or the directory of an adapter alone.
 * @throws InputErrors naming every tensor in which model and adapter do not match
 */
export async function loadWithAdapter(
  gpu: Gpu,
  path: string,
  adapter: string | undefined,
  positions: number,
): Promise<LoadedModel> {
  const location = await locateModel(gpu.runtime.files, path, adapter);
  return loadLocated(gpu, location, { dtype: 'auto', positions });
}

/** The same for a model that was located already. With an adapter its pairs are what is trained. */
export async function loadLocated(
  gpu: Gpu,
  { path, adapter: adapterPath }: Omit<ModelLocation, 'tokenizer'>,
  options: Omit<LoadOptions, 'train'>,
): Promise<LoadedModel> {
  if (adapterPath === undefined) return loadModel(gpu, path, { ...options, train: 'none' });
  const adapter = await PeftAdapter.open(gpu.runtime.files, adapterPath);
  try {
    const { r, alpha, targetModules } = adapter.config;
    const loaded = await loadModel(gpu, path, { ...options, train: { r, alpha, targetModules } });
    if (loaded.trained !== undefined) await fill(gpu, loaded.trained, adapter);
    await loaded.roundMasters();
    return loaded;
  } finally {
    await adapter.close();
  }
}

async function fill(gpu: Gpu, { parameters }: ParameterSlabs, adapter: PeftAdapter): Promise<void> {
  const problems: string[] = [];
  for (const [name, { shape }] of parameters) {
    const found = adapter.tensors.get(name)?.shape;
    if (found?.join() !== shape.join()) {
      problems.push(
        `${name}: ${found === undefined ? 'is missing' : `has shape [${found}]`}, expected [${shape}]`,
      );
    }
  }
  for (const name of adapter.tensors.keys()) {
    if (!parameters.has(name)) problems.push(`${name}: the model has no such module`);
  }
  if (problems.length > 0) throw new InputErrors(`${adapter.path} does not fit the model:`, problems);
  for (const [name, { master }] of parameters) {
    const dtype = adapter.tensors.get(name)?.dtype as FloatDType;
    upload(gpu, master, decodeFloats(await adapter.readTensor(name), dtype));
  }
}
