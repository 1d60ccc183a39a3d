import { spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs/promises';
import { hostname } from 'node:os';
import { describe, expect, it } from 'vitest';
import { takeLock } from '../../src/runtime/file-lock.ts';
import { temporaryDirectory } from './temporary.ts';

const gone = () => spawnSync(process.execPath, ['-e', '']).pid;

async function lockOf(owner: Record<string, unknown>): Promise<string> {
  const path = `${await temporaryDirectory()}/lock`;
  await fs.writeFile(path, JSON.stringify({ started: '', host: hostname(), ...owner }));
  return path;
}

describe('a lock', () => {
  it('is taken over from a process that is gone', async () => {
    const path = await lockOf({ pid: gone() });
    const release = await takeLock(path);
    expect(JSON.parse(await fs.readFile(path, 'utf8')).pid).toBe(process.pid);
    await release?.();
    await expect(fs.stat(path)).rejects.toThrow('ENOENT');
  });

  it('is respected while its owner lives', async () => {
    const child = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60000)']);
    try {
      expect(await takeLock(await lockOf({ pid: child.pid }))).toBeNull();
    } finally {
      child.kill('SIGKILL');
    }
  });

  it.skipIf(process.platform !== 'linux')(
    'is taken over when its id belongs to a later process',
    async () => {
      expect(await takeLock(await lockOf({ pid: process.pid, started: 'another boot/1' }))).not.toBeNull();
    },
  );

  it('is respected when another machine holds it', async () => {
    expect(await takeLock(await lockOf({ pid: gone(), host: 'elsewhere' }))).toBeNull();
  });

  it('is taken over when nobody stands in it', async () => {
    const path = `${await temporaryDirectory()}/lock`;
    await fs.writeFile(path, 'no owner');
    expect(await takeLock(path)).not.toBeNull();
  });

  it('goes to exactly one of many that ask at once, and nothing is left beside it', async () => {
    for (let round = 0; round < 20; round++) {
      const path = await lockOf({ pid: 2 ** 22 + 1 });
      const answers = await Promise.all(Array.from({ length: 20 }, () => takeLock(path)));
      expect(answers.filter((release) => release !== null)).toHaveLength(1);
      expect(await fs.readdir(path.replace(/\/lock$/, ''))).toEqual(['lock']);
    }
  });

  it('is taken over although somebody died while taking it over', async () => {
    const path = await lockOf({ pid: gone() });
    await fs.writeFile(`${path}.takeover`, '');
    expect(await takeLock(path)).toBeNull();
    await fs.utimes(`${path}.takeover`, 0, 0);
    expect(await takeLock(path)).not.toBeNull();
  });

  it('is taken over although the clock was set back since then', async () => {
    const path = await lockOf({ pid: gone() });
    await fs.writeFile(`${path}.takeover`, '');
    const later = Date.now() / 1000 + 3600;
    await fs.utimes(`${path}.takeover`, later, later);
    expect(await takeLock(path)).not.toBeNull();
  });

  it('is not released by an owner who lost it', async () => {
    const path = `${await temporaryDirectory()}/lock`;
    const release = await takeLock(path);
    await fs.writeFile(path, 'somebody else');
    await release?.();
    expect(await fs.readFile(path, 'utf8')).toBe('somebody else');
  });
});
