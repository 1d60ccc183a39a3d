/**
 * What is known of pairs, and from whom: a score file's own numbers, those that were shipped, and those of the engine, which is
 * asked for what is on the screen and not known yet.
 */
import { proxy, type Remote } from 'comlink';
import type { EngineApi, MethodChoice, PairStatistics, PairText, ScoredPair } from '../worker/protocol.ts';
import { FIRST_METHOD } from './content.ts';
import type { Library } from './library.ts';
import { sentence } from './sentence.ts';
import type { ShippedScores } from './shipped.ts';
import type { Pane, State } from './state.ts';
import { statisticsOf } from './statistics.ts';

/** What a pane shows: scores, whether the engine made them just now, or why there are none. */
export interface Shown {
  readonly scored?: ScoredPair;
  readonly live: boolean;
  readonly problem?: string;
}

export interface ScoresOptions {
  readonly engine: Remote<EngineApi>;
  readonly library: Library;
  /** Told when a pane's scores have come. */
  onScored(): void;
  /** Told how many rows the list's numbers are known of: 'computed 7 of 24', or '' for all. */
  onCounted(progress: string): void;
  fail(message: string): void;
}

export class Scores {
  /** The engine is there. */
  isOpen = false;
  readonly #options: ScoresOptions;
  #shipped: ShippedScores | undefined;
  /** By pane, method and text. */
  readonly #known = new Map<string, Shown>();
  /** By model: the list's numbers of the rows at hand. */
  readonly #statistics = new Map<string, PairStatistics[]>();
  /** The newest state that was asked for. */
  #asked: State | undefined;
  /** Models that the engine has, or is loading. */
  readonly #loads = new Map<string, Promise<void>>();

  constructor(options: ScoresOptions) {
    this.#options = options;
  }

  /** Scores that came with the page. */
  set shipped(shipped: ShippedScores) {
    this.#shipped = shipped;
    for (const [id, scores] of Object.entries(shipped.scores))
      this.#statistics.set(
        id,
        scores.flatMap((scored, i) => statisticsOf(i, scored) ?? []),
      );
  }

  /** The pair on the screen: the user's own text, or that of the rows. */
  textOf({ edited, pair }: State): PairText {
    const { pairs } = this.#options.library.rows;
    return edited ?? pairs[Math.min(pair, pairs.length - 1)];
  }

  methodOf(pane: Pane): MethodChoice {
    const entry = this.#options.library.find(pane.source);
    return pane.method ?? (entry?.kind === 'model' ? entry.method : undefined) ?? FIRST_METHOD;
  }

  statistics(source: string): readonly PairStatistics[] {
    return this.#statistics.get(source) ?? [];
  }

  shown(pane: Pane, state: State): Shown {
    const { library } = this.#options;
    const entry = library.find(pane.source);
    const text = this.textOf(state);
    if (entry?.kind === 'scores') {
      const at = entry.pairs.indexOf(text);
      const place = at >= 0 ? at : entry.pairs.findIndex((pair) => isSameText(pair, text));
      return place >= 0
        ? { scored: entry.scored[place], live: false }
        : { live: false, problem: `${entry.name} has no line for this pair. Open its own rows, or a model.` };
    }
    const known = this.#known.get(this.#keyOf(pane, text));
    if (known !== undefined) return known;
    const isShipped =
      state.edited === undefined &&
      pane.method === undefined &&
      pane.reference === 'reference' &&
      library.rows.pairs === this.#shipped?.pairs;
    const shipped = isShipped ? this.#shipped?.scores[pane.source]?.[state.pair] : undefined;
    return { scored: shipped, live: false };
  }

  /** Notes what the engine said without being asked, as of the model in training. */
  note(pane: Pane, text: PairText, scored: ScoredPair): void {
    this.#known.set(this.#keyOf(pane, text), { scored, live: true });
  }

  /**
   * Asks the engine for what is shown; it drops a call when a later one of the same pane has come in. What waits for a model
   * while something else comes to be shown asks no more: its call would come in last, and the newer one would be dropped.
   */
  async score(state: State): Promise<void> {
    if (!this.isOpen) return;
    this.#asked = state;
    const { engine, library, onScored } = this.#options;
    const text = this.textOf(state);
    for (const [place, pane] of state.panes.entries()) {
      const entry = library.find(pane.source);
      const key = this.#keyOf(pane, text);
      if (entry === undefined || entry.kind === 'scores' || this.#known.get(key)?.live) continue;
      try {
        await this.load(pane.reference);
        await this.load(pane.source);
        if (this.#asked !== state) return;
        const scored = await engine.score(`pane ${place}`, {
          pair: text,
          policy: pane.source,
          reference: pane.reference,
          method: this.methodOf(pane),
          details: true,
        });
        if (scored !== undefined) this.#known.set(key, { scored, live: true });
      } catch (error) {
        this.#known.set(key, { live: false, problem: sentence(error) });
      }
      onScored();
    }
  }

  /** The list's numbers of the rows at hand, for every pane. */
  async count(panes: readonly Pane[]): Promise<void> {
    const { engine, library, onCounted, fail } = this.#options;
    const { rows } = library;
    for (const { source, reference } of panes) {
      if (this.#statistics.has(source)) continue;
      const entry = library.find(source);
      const found: PairStatistics[] = [];
      if (entry?.kind === 'scores')
        found.push(...entry.scored.flatMap((scored, i) => statisticsOf(i, scored) ?? []));
      this.#statistics.set(source, found);
      if (entry?.kind === 'model' && this.isOpen && entry.source !== undefined) {
        const onRows = (added: readonly PairStatistics[]): boolean => {
          if (library.rows !== rows) return false;
          found.push(...added);
          const { length } = rows.pairs;
          onCounted(found.length < length ? `computed ${found.length} of ${length}` : '');
          return true;
        };
        await this.load(reference);
        await this.load(source);
        await engine
          .statistics([...rows.pairs], source, reference, proxy(onRows))
          .catch((error: unknown) => fail(sentence(error)));
      }
      onCounted('');
    }
  }

  /** Loads a model into the engine when somebody looks at it. */
  load(id: string): Promise<void> {
    const known = this.#loads.get(id);
    if (known !== undefined) return known;
    const { library, engine } = this.#options;
    const entry = library.find(id);
    if (entry === undefined) return Promise.reject(new Error(`There is no model called ${id}.`));
    if (entry.kind !== 'model' || entry.source === undefined) return Promise.resolve();
    const load = engine.loadModel(id, entry.source).then(() => {});
    this.#loads.set(id, load);
    load.catch(() => this.#loads.delete(id));
    return load;
  }

  /** Of a model that has changed. */
  forget(source: string): void {
    for (const key of this.#known.keys())
      if (key.startsWith(`[${JSON.stringify(source)}`)) this.#known.delete(key);
    this.#statistics.delete(source);
  }

  /** New rows are at hand. */
  forgetRows(): void {
    this.#statistics.clear();
    this.#known.clear();
  }

  /** The engine has lost its models. */
  forgetModels(): void {
    this.isOpen = false;
    this.#loads.clear();
  }

  #keyOf(pane: Pane, text: PairText): string {
    return JSON.stringify([pane.source, pane.reference, this.methodOf(pane), text]);
  }
}

function isSameText(a: PairText, b: PairText): boolean {
  return a.prompt === b.prompt && a.chosen === b.chosen && a.rejected === b.rejected;
}
