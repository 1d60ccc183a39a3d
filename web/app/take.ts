/** Brings what was opened into the library. */
import type { PairText } from '../worker/protocol.ts';
import type { Library, Rows } from './library.ts';
import { type Item, type Opened, open } from './opened.ts';
import { type Pane, paneOf } from './state.ts';

export interface TakeOptions {
  readonly library: Library;
  readPairs(name: string, file: Blob): Promise<readonly PairText[]>;
  load(id: string): Promise<void>;
  /** Shows other rows. */
  showRows(rows: Rows): void;
}

export interface Taken {
  /** What was opened, in a line. */
  readonly said: string;
  /** What to look at; none where nothing can be shown as tokens. */
  readonly panes: readonly Pane[];
  /** Runs or figures that only the charts show. */
  readonly isForCharts: boolean;
}

/** @throws Error with a sentence for the user */
export async function take(items: readonly Item[], options: TakeOptions): Promise<Taken> {
  const taken: Taken[] = [];
  for (const found of await open(items)) taken.push(await takeOne(found, options));
  return {
    said: taken.map(({ said }) => said).join('; '),
    panes: taken.flatMap(({ panes }) => panes),
    isForCharts: taken.some(({ isForCharts }) => isForCharts),
  };
}

async function takeOne(found: Opened, { library, readPairs, load, showRows }: TakeOptions): Promise<Taken> {
  switch (found.kind) {
    case 'rows': {
      const pairs = await readPairs(found.name, found.file);
      showRows({ name: found.name, origin: 'your rows', pairs });
      return { said: `${found.name}: ${pairs.length} pairs`, panes: [], isForCharts: false };
    }
    case 'scores': {
      const { name, pairs } = found;
      const id = library.newId('scores');
      library.add({ ...found, id, origin: 'your score file, as it is' });
      showRows({ name, origin: 'your score file', pairs });
      return { said: `${name}: scores of ${pairs.length} pairs`, panes: [paneOf(id)], isForCharts: false };
    }
    case 'run':
      return takeRun(found, library);
    case 'figure':
      library.addFigure(found.figure);
      return { said: `${found.name}: ${found.figure.kind}`, panes: [], isForCharts: true };
    case 'model': {
      const id = library.newId('model');
      library.add({ ...found, id, origin: 'your model' });
      await load(id);
      return { said: `${found.name}: loaded`, panes: [paneOf(id)], isForCharts: false };
    }
  }
}

function takeRun(
  { name, metrics, method, models, figures }: Opened & { kind: 'run' },
  library: Library,
): Taken {
  const run = library.newId('run');
  const ids = models.map((model, i) => {
    const id = `${run}.${i}`;
    library.add({ kind: 'model', id, origin: `run ${name}`, method, run, ...model });
    return id;
  });
  library.addRun({ id: run, name, metrics, models: ids });
  for (const figure of figures) library.addFigure(figure);
  const last = ids.at(-1);
  const drawn = figures.length === 0 ? '' : `, ${figures.length} figures`;
  return {
    said: `${name}: ${metrics.length} lines of metrics, ${ids.length} models${drawn}`,
    panes: last === undefined ? [] : [paneOf(last)],
    isForCharts: last === undefined,
  };
}
