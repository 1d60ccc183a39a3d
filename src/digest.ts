/** SHA-256 over many parts. Web Crypto digests one buffer only, so parts are gathered and chained block by block. */

const BLOCK_BYTES = 2 ** 20;

export class Digest {
  #state = new Uint8Array(0);
  #parts: Uint8Array[] = [];
  #size = 0;

  /** Adds a part; where one part ends and the next begins is part of what is digested. */
  async add(part: string | ArrayBufferView): Promise<void> {
    const bytes =
      typeof part === 'string'
        ? new TextEncoder().encode(part)
        : new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
    const length = new Uint8Array(8);
    new DataView(length.buffer).setBigUint64(0, BigInt(bytes.length), true);
    this.#parts.push(length, bytes);
    this.#size += 8 + bytes.length;
    if (this.#size >= BLOCK_BYTES) await this.#chain();
  }

  /** The 32 bytes of everything added so far. */
  async bytes(): Promise<Uint8Array> {
    await this.#chain();
    return this.#state;
  }

  /** The same as 64 hexadecimal digits. */
  async hex(): Promise<string> {
    return Array.from(await this.bytes(), (byte) => byte.toString(16).padStart(2, '0')).join('');
  }

  async #chain(): Promise<void> {
    if (this.#size === 0) return;
    const block = new Uint8Array(this.#state.length + this.#size);
    let offset = 0;
    for (const bytes of [this.#state, ...this.#parts]) {
      block.set(bytes, offset);
      offset += bytes.length;
    }
    this.#state = new Uint8Array(await crypto.subtle.digest('SHA-256', block));
    this.#parts = [];
    this.#size = 0;
  }
}
