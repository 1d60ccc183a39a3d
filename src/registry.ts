/** Things that a configuration names: objectives, token weights. The built-in ones, and those that a program adds. */
import { nearest } from './nearest.ts';

export class Registry<Entry extends { readonly name: string }> {
  readonly #what: string;
  readonly #entries: Entry[];

  /** @param what what an entry is called in messages, with its article: 'an objective' */
  constructor(what: string, entries: readonly Entry[]) {
    this.#what = what;
    this.#entries = [...entries];
  }

  /** In the order in which they were added. */
  get all(): readonly Entry[] {
    return this.#entries;
  }

  /** @throws RangeError when the name is taken: two meanings of one name would make a configuration ambiguous. */
  add(entry: Entry): void {
    if (this.find(entry.name) !== undefined)
      throw new RangeError(`There is ${this.#what} named ${JSON.stringify(entry.name)} already.`);
    this.#entries.push(entry);
  }

  find(name: string): Entry | undefined {
    return this.#entries.find((entry) => entry.name === name);
  }

  /** What to say about a name that is not here: the nearest one, and all of them. */
  unknown(name: string): string {
    const names = this.#entries.map((entry) => entry.name);
    const noun = this.#what.replace(/^an? /, '');
    return `there is no ${noun} ${JSON.stringify(name)}; did you mean ${nearest(name, names)}? Known: ${names.join(', ')}`;
  }
}
