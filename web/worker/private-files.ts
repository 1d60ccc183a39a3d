/** A folder in the origin private file system, which browsers keep for this page and show nobody else. */
import type { KeptFolder } from './kept-run.ts';

/** @returns undefined where the browser has none, as in some private windows */
export async function privateFolder(name: string): Promise<KeptFolder | undefined> {
  try {
    const root = await navigator.storage.getDirectory();
    return folderIn(await root.getDirectoryHandle(name, { create: true }));
  } catch {
    return undefined;
  }
}

function folderIn(root: FileSystemDirectoryHandle): KeptFolder {
  const at = async (path: string, create: boolean) => {
    const names = path.split('/');
    const last = names[names.length - 1];
    let directory = root;
    for (const name of names.slice(0, -1)) directory = await directory.getDirectoryHandle(name, { create });
    return { directory, last };
  };
  const listOf = async (directory: FileSystemDirectoryHandle, prefix: string): Promise<string[]> => {
    const found: string[] = [];
    for await (const [name, handle] of directory.entries())
      if (handle.kind === 'file') found.push(prefix + name);
      else found.push(...(await listOf(handle as FileSystemDirectoryHandle, `${prefix}${name}/`)));
    return found;
  };
  return {
    list: () => listOf(root, ''),
    async read(path) {
      const { directory, last } = await at(path, false);
      return (await directory.getFileHandle(last)).getFile();
    },
    async write(path, file) {
      const { directory, last } = await at(path, true);
      // What is written takes the file's place when it is closed.
      const sink = await (await directory.getFileHandle(last, { create: true })).createWritable();
      await sink.write(file);
      await sink.close();
    },
    async remove(path) {
      const { directory, last } = await at(path, false);
      await directory.removeEntry(last);
    },
  };
}
