/**
 * Which blocks of the paged cache are whose. A block may have several owners: the prefix that samples share. Block 0 belongs
 * to nobody: padding rows write there.
 */
export class BlockPool {
  /** Owners of each block. */
  readonly #owners: number[] = [1];
  readonly #free: number[] = [];

  /** Blocks that there are, the one for padding included. */
  get size(): number {
    return this.#owners.length;
  }

  /** Blocks that have an owner. */
  get used(): number {
    return this.#owners.length - 1 - this.#free.length;
  }

  get free(): number {
    return this.#free.length;
  }

  /** Adds blocks up to a size. */
  grow(size: number): void {
    for (let block = this.#owners.length; block < size; block++) {
      this.#owners.push(0);
      this.#free.push(block);
    }
  }

  /** @returns a block with one owner, or undefined when none is free */
  take(): number | undefined {
    const block = this.#free.pop();
    if (block !== undefined) this.#owners[block] = 1;
    return block;
  }

  /** Adds an owner. */
  share(block: number): void {
    this.#owners[block]++;
  }

  /** An owner leaves; the last one frees the block. */
  release(block: number): void {
    if (--this.#owners[block] === 0) this.#free.push(block);
  }
}
