/** What a run reads, in a few digits: a resumed run must find under the same paths what it found before. */
import { answersOf } from '../data/batches.ts';
import type { Example } from '../data/examples.ts';
import { Digest } from '../digest.ts';
import type { RunDigests } from './run-checkpoint.ts';

/**
 * @param data the rows as tokens, so that data, tokenizer and template are all covered
 * @param weights checksum of the weights that the run began with
 */
export async function digestsOf(
  data: { readonly train: readonly Example[]; readonly eval: readonly Example[] },
  weights: string,
): Promise<RunDigests> {
  return {
    'data.train': await digestOf(data.train),
    'data.eval': await digestOf(data.eval),
    'model.path': weights,
  };
}

async function digestOf(examples: readonly Example[]): Promise<string> {
  const digest = new Digest();
  for (const example of examples) {
    const answers = answersOf(example).map(({ ids }) => ids);
    const parts = [example.promptIds, ...answers];
    await digest.add(Int32Array.from([parts.length, ...parts.flatMap((ids) => [ids.length, ...ids])]));
  }
  return (await digest.hex()).slice(0, 16);
}
