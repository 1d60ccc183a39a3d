/** What `prefgrad view` serves beside the page: the sources it was started with. */
import type { Item } from './opened.ts';

/** Items under the address of the page's query, '?session=TOKEN'; none without one. */
export async function servedItems(address: string): Promise<Item[]> {
  const token = new URL(address).searchParams.get('session');
  if (token === null) return [];
  const base = new URL(`./session/${token}/`, address).href;
  const answer = await fetch(`${base}index.json`);
  if (!answer.ok) throw new Error('This session of prefgrad view has ended. Start it again.');
  const { files } = (await answer.json()) as { files: string[] };
  return files.map((path) => {
    const url = `${base}files/${path.split('/').map(encodeURIComponent).join('/')}`;
    return { path, url, blob: async () => (await fetch(url)).blob() };
  });
}
