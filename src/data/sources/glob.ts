/** Files whose paths match a pattern, in any file system. */
import type { FileSystem } from '../../runtime/runtime.ts';

export type Listing = Pick<FileSystem, 'exists' | 'isDirectory' | 'list'>;

/** What only a pattern contains: *, ?, [ab], {a,b}. */
export function isPattern(path: string): boolean {
  return /[*?[\]{}]/.test(path);
}

/** Paths of the files that match, sorted. `*` stays within a folder, `**` stands for any folders. */
export async function glob(files: Listing, pattern: string): Promise<string[]> {
  const { default: picomatch } = await import('picomatch');
  const segments = pattern.split('/');
  const first = segments.findIndex(isPattern);
  if (first < 0) return (await isFile(files, pattern)) ? [pattern] : [];
  const found: string[] = [];
  /** Matches segments from `depth` on below a folder; '' is where relative paths begin. */
  const walk = async (folder: string, depth: number): Promise<void> => {
    if (!(await files.isDirectory(folder === '' ? '.' : folder))) return;
    const at = (name: string) =>
      folder === '' || folder.endsWith('/') ? `${folder}${name}` : `${folder}/${name}`;
    const segment = segments[depth];
    const isLast = depth === segments.length - 1;
    if (segment === '**') {
      if (!isLast) await walk(folder, depth + 1);
      for (const name of await files.list(folder === '' ? '.' : folder)) {
        if (await files.isDirectory(at(name))) await walk(at(name), depth);
        else if (isLast) found.push(at(name));
      }
      return;
    }
    const matches = picomatch(segment);
    for (const name of (await files.list(folder === '' ? '.' : folder)).filter((entry) => matches(entry))) {
      if (!isLast) await walk(at(name), depth + 1);
      else if (!(await files.isDirectory(at(name)))) found.push(at(name));
    }
  };
  // A pattern that begins with '/' has '' as its first segment.
  const base = segments.slice(0, first).join('/');
  await walk(first === 1 && segments[0] === '' ? '/' : base, first);
  return [...new Set(found)].sort();
}

async function isFile(files: Listing, path: string): Promise<boolean> {
  return (await files.exists(path)) && !(await files.isDirectory(path));
}
