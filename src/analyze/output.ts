/** Writes results into a directory: JSON of all, SVG of figures in both themes, Markdown of tables. */
import { checkOutput } from '../formats/atomic-file.ts';
import type { FileSystem } from '../runtime/runtime.ts';
import type { Result } from './figure.ts';
import { figureSvg } from './svg.ts';
import { tableMarkdown } from './table-text.ts';
import { THEMES } from './theme.ts';

/** Makes a PNG of an SVG; drawing pixels is the platform's. */
export type Rasterize = (svg: string) => Promise<Uint8Array>;

export interface ResultOptions {
  readonly rasterize?: Rasterize | undefined;
  /** Replaces results that are there. */
  readonly force?: boolean;
}

/** @returns the paths that were written @throws InputError for a result that is there already, before any is written */
export async function writeResults(
  files: FileSystem,
  directory: string,
  results: readonly Result[],
  { rasterize, force = false }: ResultOptions = {},
): Promise<string[]> {
  await files.makeDirectory(directory);
  for (const { name } of results) await checkOutput(files, `${directory}/${name}.json`, force);
  const written: string[] = [];
  const write = async (name: string, contents: string | Uint8Array) => {
    const path = `${directory}/${name}`;
    const sink = await files.create(path);
    await sink.write(typeof contents === 'string' ? contents : Uint8Array.from(contents));
    await sink.close();
    written.push(path);
  };
  for (const result of results) {
    await write(`${result.name}.json`, `${JSON.stringify(result, null, 2)}\n`);
    if (result.kind === 'table') {
      await write(`${result.name}.md`, tableMarkdown(result));
      continue;
    }
    const svg = await figureSvg(result, THEMES.light);
    await write(`${result.name}.svg`, svg);
    await write(`${result.name}-dark.svg`, await figureSvg(result, THEMES.dark));
    if (rasterize !== undefined) await write(`${result.name}.png`, await rasterize(svg));
  }
  return written;
}
