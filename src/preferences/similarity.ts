/** How alike two texts are in meaning: the cosine of their embeddings. Numbers of different embeddings do not compare. */

export interface Similarity {
  /** Which embedding it is; stands in the settings and the report. */
  readonly name: string;
  /** One number in -1..1 per pair. */
  compare(pairs: readonly (readonly [string, string])[]): Promise<number[]>;
}

/** @param embed gives one vector per text */
export function cosineSimilarity(
  name: string,
  embed: (texts: readonly string[]) => Promise<readonly (readonly number[])[]>,
): Similarity {
  return {
    name,
    async compare(pairs) {
      const vectors = await embed(pairs.flat());
      return pairs.map((_, i) => cosine(vectors[2 * i], vectors[2 * i + 1]));
    },
  };
}

/** a b / (|a| |b|); 0 for a vector of zeros. */
export function cosine(a: readonly number[], b: readonly number[]): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return aa === 0 || bb === 0 ? 0 : dot / Math.sqrt(aa * bb);
}
