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

/** A process that was killed and that nobody has waited for: it still has an entry, but does nothing any more. */
const ENDED = 'ended';

/** Takes the lock at `path`; null when a living process, this one included, or another machine holds it. */
export async function takeLock(path: string): Promise<(() => Promise<void>) | null> {
  const me: Owner = { pid: process.pid, started: (await startOf(process.pid)) ?? '', host: hostname() };
  const text = `${JSON.stringify(me)}\n`;
  // Written elsewhere first and linked into place, the lock is never seen without its owner.
  const draft = `${path}.${crypto.randomUUID()}`;
  try {
    await fs.writeFile(draft, text, { flag: 'wx' });
    if ((await placed(draft, path, text)) || (await takeOver(draft, path, text, me)))
      return () => release(path, text);
    return null;
  } finally {
    await fs.rm(draft, { force: true });
  }
}

/** Puts the lock into place, unless there is one. */
async function placed(draft: string, path: string, text: string): Promise<boolean> {
  try {
    await linkOrWrite(draft, path, text);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
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

/**
 * Replaces the lock of an owner who is gone. Only one process at a time may do this: of two who find the same stale lock,
 * the second would otherwise throw the first one's new lock away.
 */
async function takeOver(draft: string, path: string, text: string, me: Owner): Promise<boolean> {
  const turn = `${path}.takeover`;
  if (!(await enter(turn))) return false;
  try {
    const found = await fs.readFile(path, 'utf8').catch(() => undefined);
    const owner = found === undefined ? undefined : parseOwner(found);
    if (owner !== undefined && (owner.host !== me.host || (await isAlive(owner)))) return false;
    await fs.rm(path, { force: true });
    return await placed(draft, path, text);
  } finally {
    await fs.rm(turn, { force: true });
  }
}

/** Somebody else who is at it will have the lock in a moment; one who died at it is forgotten after ten seconds. */
async function enter(turn: string): Promise<boolean> {
  const stat = await fs.stat(turn).catch(() => undefined);
  // Clocks jump: of one that comes from the future nobody knows the age.
  if (stat !== undefined && Math.abs(Date.now() - stat.mtimeMs) > 10_000) await fs.rm(turn, { force: true });
  try {
    await fs.writeFile(turn, '', { flag: 'wx' });
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
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
