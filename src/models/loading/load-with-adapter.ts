/** A frozen model with, where one is given, a PEFT adapter on top. */
import { upload } from '../../autograd/tensor.ts';
import { InputErrors } from '../../errors.ts';
import { type FloatDType, widen } from '../../formats/half.ts';
import { PeftAdapter } from '../../formats/peft.ts';
import type { Gpu } from '../../gpu/device.ts';
import { Program } from '../../gpu/program.ts';
import type { ParameterSlabs } from '../../nn/parameters.ts';
import { recordCast } from '../../ops/elementwise/fill.ts';
import { type LoadedModel, loadModel } from './load.ts';

/** @throws InputErrors naming every tensor in which model and adapter do not match */
export async function loadWithAdapter(
  gpu: Gpu,
  path: string,
  adapterPath: string | undefined,
  positions: number,
): Promise<LoadedModel> {
  if (adapterPath === undefined) return loadModel(gpu, path, { train: 'none', dtype: 'auto', positions });
  const adapter = await PeftAdapter.open(gpu.runtime.files, adapterPath);
  try {
    const { r, alpha, targetModules } = adapter.config;
    const train = { r, alpha, targetModules };
    const loaded = await loadModel(gpu, path, { train, dtype: 'auto', positions });
    if (loaded.trained !== undefined) await fill(gpu, loaded.trained, adapter);
    return loaded;
  } finally {
    await adapter.close();
  }
}

async function fill(gpu: Gpu, { parameters, slabs }: ParameterSlabs, adapter: PeftAdapter): Promise<void> {
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
    upload(gpu, master, widen(await adapter.readTensor(name), dtype));
  }
  const round = await Program.build(gpu, 'round the adapter', (recorder) => {
    for (const { master, copy } of slabs) if (copy !== undefined) recordCast(recorder, master, copy);
  });
  round.run();
}
