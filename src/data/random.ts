/**
 * Random numbers that depend only on (seed, stream, counter): no state to save, the same on every machine.
 * The mixer is PCG's RXS-M-XS permutation on 32-bit words, applied between the words of the key.
 */

/** A uniform u32. */
export function randomWord(seed: number, stream: number, counter: number): number {
  return permute(permute(permute(seed >>> 0) ^ (stream >>> 0)) ^ (counter >>> 0));
}

/** The words of a key, one for each counter: randomWord(seed, stream, n) = wordAt(key, n) where only the key knows the rest. */
export function wordAt(key: number, counter: number): number {
  return permute(key ^ (counter >>> 0));
}

/** A uniform number in (0, 1), never 0 or 1, with 32 random bits. */
export function uniformAt(seed: number, stream: number, counter: number): number {
  return (randomWord(seed, stream, counter) + 0.5) / 2 ** 32;
}

/** A standard normal number (Box-Muller). */
export function normalAt(seed: number, stream: number, counter: number): number {
  const radius = Math.sqrt(-2 * Math.log(uniformAt(seed, stream, 2 * counter)));
  return radius * Math.cos(2 * Math.PI * uniformAt(seed, stream, 2 * counter + 1));
}

function permute(word: number): number {
  const state = (Math.imul(word, 747796405) + 2891336453) >>> 0;
  const mixed = Math.imul(((state >>> ((state >>> 28) + 4)) ^ state) >>> 0, 277803737) >>> 0;
  return ((mixed >>> 22) ^ mixed) >>> 0;
}
