/**
 * Locks as files that name their owner. A lock whose process is gone, killed say, is taken over; so that a process
 * id used again by another program does not count as the owner, the lock also holds when its owner was started.
 */
import * as fs from 'node:fs/promises';
import { hostname } from 'node:os';
import { codeOf } from './file-errors.ts';

interface Owner {
  readonly pid: number;
  /** When the process started, where the system tells; see `startOf`. */
  readonly started: string;
  readonly host: string;
}

let attempts = 0;

/** A process that was killed and that nobody has waited for: it still has an entry, but does nothing any more. */
const ENDED = 'ended';

/** Takes the lock at `path`; null when a living process, this one included, or another machine holds it. */
export async function takeLock(path: string): Promise<(() => Promise<void>) | null> {
  const me: Owner = { pid: process.pid, started: (await startOf(process.pid)) ?? '', host: hostname() };
  const text = `${JSON.stringify(me)}\n`;
  // Written elsewhere first and linked into place, the lock is never seen without its owner.
  const draft = `${path}.${process.pid}-${attempts++}`;
  await fs.writeFile(draft, text, { flag: 'wx' });
  try {
    for (;;) {
      try {
        await linkOrWrite(draft, path, text);
        return () => release(path, text);
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') throw error;
      }
      const found = await fs.readFile(path, 'utf8').catch(() => undefined);
      if (found !== undefined && !(await removeStale(path, found, me))) return null;
    }
  } finally {
    await fs.rm(draft, { force: true });
  }
}

/** Some file systems (exFAT, some network ones) know no links; there the lock is empty for a moment. */
async function linkOrWrite(draft: string, path: string, text: string): Promise<void> {
  try {
    await fs.link(draft, path);
  } catch (error) {
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(String(codeOf(error)))) throw error;
    await fs.writeFile(path, text, { flag: 'wx' });
  }
}

/** Removes the lock with the text `found` if its owner is gone. */
async function removeStale(path: string, found: string, me: Owner): Promise<boolean> {
  const owner = parseOwner(found);
  if (owner !== undefined && (owner.host !== me.host || (await isAlive(owner)))) return false;
  // Two processes may find the same stale lock. Moved aside, it can be compared before it is thrown away.
  const aside = `${path}.stale-${process.pid}-${attempts++}`;
  try {
    await fs.rename(path, aside);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return true;
    throw error;
  }
  const moved = await fs.readFile(aside, 'utf8');
  if (moved !== found) await fs.link(aside, path).catch(() => {});
  await fs.rm(aside, { force: true });
  return moved === found;
}

async function release(path: string, text: string): Promise<void> {
  const found = await fs.readFile(path, 'utf8').catch(() => undefined);
  if (found === text) await fs.rm(path, { force: true });
}

/** undefined for anything we did not write: such a file is no lock that somebody holds. */
function parseOwner(text: string): Owner | undefined {
  try {
    const { pid, started, host } = JSON.parse(text) as Record<string, unknown>;
    if (typeof pid === 'number' && Number.isInteger(pid) && pid > 0)
      return { pid, started: String(started), host: String(host) };
  } catch {
    // Said by the return value.
  }
  return undefined;
}

async function isAlive(owner: Owner): Promise<boolean> {
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    if (codeOf(error) !== 'EPERM') return false;
  }
  const started = await startOf(owner.pid);
  if (started === ENDED) return false;
  return started === undefined || owner.started === '' || started === owner.started;
}

/** Linux: the boot and the clock ticks since then at which a process started. Elsewhere undefined. `ENDED` for a zombie. */
async function startOf(pid: number): Promise<string | undefined> {
  try {
    const boot = (await fs.readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    const stat = await fs.readFile(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in parentheses, which may hold spaces; the start is the 22nd field.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? ENDED : `${boot}/${fields[19]}`;
  } catch {
    return undefined;
  }
}
