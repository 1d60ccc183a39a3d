/** Inputs shared by the tests of formats. */
import type { OutputFile } from '../../src/formats/output-file.ts';
import type { TensorEntry } from '../../src/formats/safetensors.ts';
import { tensorBytes } from '../../src/formats/safetensors-dtypes.ts';
import type { OutputTensor } from '../../src/formats/safetensors-writer.ts';
import { MemoryFiles } from '../../src/runtime/memory-files.ts';

/** Reproducible uniform numbers in [0, 1): a linear congruential generator, good enough to pick test cases. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return ((state ^ (state >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** A tensor of seeded bytes that yields them in uneven pieces. */
export function randomTensor(entry: TensorEntry, random: () => number): OutputTensor & { bytes: Uint8Array } {
  const bytes = Uint8Array.from({ length: tensorBytes(entry) }, () => Math.floor(random() * 256));
  return {
    ...entry,
    bytes,
    *read() {
      for (let offset = 0; offset < bytes.length; ) {
        const end = offset + 1 + Math.floor(random() * 50);
        yield bytes.slice(offset, end);
        offset = end;
      }
    },
  };
}

/** Files in memory with `contents` written into `directory`. */
export async function written(directory: string, contents: readonly OutputFile[]): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  await files.makeDirectory(directory);
  for (const file of contents) {
    const sink = await files.create(`${directory}/${file.name}`);
    await file.write(sink);
    await sink.close();
  }
  return files;
}
