/**
 * FNV-1a over little-endian 32-bit words: h = (h xor word) * 16777619 mod 2^32. Each step is a bijection of h, so that one
 * changed word always shows. It guards against damage, not against forgery.
 */
const OFFSET = 0x811c9dc5;
const PRIME = 0x01000193;

export class Checksum {
  #hash = OFFSET;
  /** Bytes that do not yet make a word. */
  #rest = new Uint8Array(0);

  /** Adds bytes; where one piece ends and the next begins makes no difference. */
  add(bytes: Uint8Array): void {
    let piece = bytes;
    if (this.#rest.length > 0 || piece.byteOffset % 4 !== 0) {
      piece = new Uint8Array(this.#rest.length + bytes.length);
      piece.set(this.#rest);
      piece.set(bytes, this.#rest.length);
    }
    const words = new Uint32Array(piece.buffer, piece.byteOffset, piece.length >>> 2);
    let hash = this.#hash;
    for (let i = 0; i < words.length; i++) hash = Math.imul(hash ^ words[i], PRIME);
    this.#hash = hash;
    this.#rest = piece.slice(4 * words.length);
  }

  /** As eight hexadecimal digits. */
  hex(): string {
    let hash = this.#hash;
    for (const byte of this.#rest) hash = Math.imul(hash ^ byte, PRIME);
    return (hash >>> 0).toString(16).padStart(8, '0');
  }
}
