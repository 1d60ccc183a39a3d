/** Some rows drawn from a stream of unknown length: reservoir sampling, algorithm R (Vitter 1985). */
import { uniformAt } from '../random.ts';

/** Stream of random numbers for this purpose. */
const STREAM = 0x5a;

/** `count` rows, each set of rows as likely as any other, in the order of the stream. Holds `count` rows. */
export async function sampled<Row>(rows: AsyncIterable<Row>, count: number, seed: number): Promise<Row[]> {
  const kept: { readonly place: number; readonly row: Row }[] = [];
  let place = 0;
  for await (const row of rows) {
    const slot = kept.length < count ? kept.length : Math.floor(uniformAt(seed, STREAM, place) * (place + 1));
    if (slot < count) kept[slot] = { place, row };
    place++;
  }
  return kept.sort((a, b) => a.place - b.place).map(({ row }) => row);
}
