/**
 * Which variants of kernels a run uses: those of its checkpoint; else what was measured on this adapter before, which is
 * kept in the user's cache; else what is measured now. The same choices give the same bits.
 */
import { z } from 'zod';
import { Digest } from '../digest.ts';
import { writeJson } from '../formats/atomic-file.ts';
import type { Gpu } from '../gpu/device.ts';
import { type Tuned, tuneProducts } from '../ops/linear/linear-tuning.ts';
import { askedProducts } from '../ops/linear/linear-variants.ts';
import { fromFirst } from '../runtime/ranks.ts';
import { Trainer, type TrainerOptions } from './trainer.ts';

/** Variants by product, as `KernelChoices.toRecord`. */
export type MeasuredChoices = Readonly<Record<string, string>>;

/** @param resumed - the choices of the checkpoint that the run continues */
export async function chooseKernels(
  options: TrainerOptions,
  resumed: MeasuredChoices | undefined,
  note: (line: string) => void,
): Promise<void> {
  const { gpu, training } = options;
  if (resumed !== undefined) {
    gpu.choices.load(resumed);
    return;
  }
  // On a CPU one variant wins everywhere, and compiling the others takes longer than they could save.
  if (!(training.autotune ?? gpu.profile.kernels === 'gpu')) return;
  // Ranks must agree, and what one measures another may measure otherwise.
  gpu.choices.load(await fromFirst(gpu.runtime.ranks, () => measured(options, note)));
}

/** What is known from the cache, and the rest measured now. */
async function measured(options: TrainerOptions, note: (line: string) => void): Promise<MeasuredChoices> {
  const { gpu } = options;
  const cache = await ChoiceCache.open(gpu, note);
  gpu.choices.load(cache.known);
  Trainer.plan(options);
  let products = 0;
  await tuneProducts(gpu, ({ key, winner, refused }) => {
    products++;
    if (refused.length > 0)
      note(`${key}: ${refused.join(' and ')} give wrong numbers on this adapter; using ${winner}.`);
  });
  const choices = gpu.choices.toRecord();
  if (products === 0) return choices;
  note(
    `Measured ${products} products to choose their kernels.${cache.path === undefined ? '' : ` Kept in ${cache.path}.`}`,
  );
  await cache.write(choices);
  return choices;
}

/**
 * Measures every product that was recorded on this device, also those that were measured before, and keeps the choices.
 * @returns the file that keeps them; undefined where there is no disk
 */
export async function tuneKernels(gpu: Gpu, onTuned: (tuned: Tuned) => void): Promise<string | undefined> {
  const cache = await ChoiceCache.open(gpu);
  gpu.choices.load(cache.known);
  for (const key of askedProducts(gpu).keys()) gpu.choices.products.delete(key);
  await tuneProducts(gpu, onTuned);
  await cache.write(gpu.choices.toRecord());
  return cache.path;
}

/** What the choices of a device are kept under. */
type TunedDevice = Pick<Gpu, 'runtime' | 'deviceName' | 'driver'>;

/** Choices on disk, one file per adapter, driver and set of kernels. Where there is no disk, nothing is kept. */
export class ChoiceCache {
  readonly #gpu: TunedDevice;
  readonly path: string | undefined;
  readonly known: MeasuredChoices;

  private constructor(gpu: TunedDevice, path: string | undefined, known: MeasuredChoices) {
    this.#gpu = gpu;
    this.path = path;
    this.known = known;
  }

  /** @param note told of a file that is damaged; what it kept is measured again */
  static async open(gpu: TunedDevice, note: (line: string) => void = () => {}): Promise<ChoiceCache> {
    const { cacheDirectory, files, kernelSources } = gpu.runtime;
    const folder = cacheDirectory();
    if (folder === undefined) return new ChoiceCache(gpu, undefined, {});
    const digest = new Digest();
    for (const part of [gpu.deviceName, gpu.driver]) await digest.add(part);
    for (const source of Object.values(await kernelSources())) await digest.add(source);
    const path = `${folder}/kernels-${(await digest.hex()).slice(0, 16)}.json`;
    if (!(await files.exists(path))) return new ChoiceCache(gpu, path, {});
    const known = parse(await files.readText(path));
    if (known === undefined) note(`${path} is damaged, and is made again.`);
    return new ChoiceCache(gpu, path, known ?? {});
  }

  async write(choices: MeasuredChoices): Promise<void> {
    if (this.path === undefined) return;
    const { files } = this.#gpu.runtime;
    await files.makeDirectory(this.path.slice(0, this.path.lastIndexOf('/')));
    await writeJson(files, this.path, choices, { shared: true });
  }
}

/** undefined for what no `write` has written. */
function parse(text: string): MeasuredChoices | undefined {
  try {
    return z.record(z.string(), z.string()).safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
