/** One set-up at a time per clone: two commands started together must not both install. */
import * as fs from 'node:fs';

/** How long another set-up may take: npm packages and a driver over a slow line. */
const PATIENCE_MS = 15 * 60_000;

/**
 * Runs `action` while holding `path`, in a folder that exists. The file holds the owner's process id; one whose owner is gone is taken over.
 * @throws Error when another set-up holds it for a quarter of an hour
 */
export async function withLock(path, action, notify) {
  const deadline = Date.now() + PATIENCE_MS;
  for (let round = 0; !take(path); round++) {
    if (round === 0) notify(`Waiting for another set-up of this clone (process ${ownerOf(path)}).`);
    if (Date.now() > deadline)
      throw new Error(`Another set-up seems stuck. If none is running, remove ${path}.`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  try {
    return await action();
  } finally {
    fs.rmSync(path, { force: true });
  }
}

function take(path) {
  // Linked into place with its content, so that nobody ever reads a lock without an owner.
  const mine = `${path}.${process.pid}`;
  fs.writeFileSync(mine, String(process.pid));
  try {
    fs.linkSync(mine, path);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    if (!isAlive(ownerOf(path))) removeStale(path, mine);
    return false;
  } finally {
    fs.rmSync(mine, { force: true });
  }
}

/** Moves the lock away before it is deleted: of several that saw it stale, one gets it, and can look what it got. */
function removeStale(path, scratch) {
  const moved = `${scratch}.stale`;
  try {
    fs.renameSync(path, moved);
    if (isAlive(ownerOf(moved))) fs.linkSync(moved, path);
  } catch (error) {
    if (error.code !== 'ENOENT' && error.code !== 'EEXIST') throw error;
  }
  fs.rmSync(moved, { force: true });
}

function ownerOf(path) {
  try {
    return Number(fs.readFileSync(path, 'utf8'));
  } catch {
    return Number.NaN;
  }
}

function isAlive(pid) {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}
