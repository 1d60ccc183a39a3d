/** `prefgrad serve` as a process of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';

const MODEL = ['serve', '--model', 'examples/stories260K'];
const start = (...args: string[]) =>
  spawn(process.execPath, ['bin/prefgrad.js', ...MODEL, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });

describe('prefgrad serve', () => {
  it('says where it listens, answers, and ends with 0 when it is told to', async () => {
    const child = start('--port', '0', '--name', 'tiny');
    try {
      const [url] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
      const body = JSON.stringify({ prompt: [1, 403, 407, 261, 378], max_tokens: 8, temperature: 0 });
      const answer = await fetch(`${url}/v1/completions`, { method: 'POST', body });
      expect(await answer.json()).toMatchObject({
        model: 'tiny',
        choices: [{ text: ', there was a little girl', finish_reason: 'length' }],
      });
      child.kill('SIGTERM');
      expect(await once(child, 'exit')).toEqual([0, null]);
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('refuses an address that others can reach, without a key', async () => {
    const child = start('--host', '0.0.0.0');
    let message = '';
    child.stderr.on('data', (chunk) => {
      message += String(chunk);
    });
    expect(await once(child, 'close')).toEqual([2, null]);
    expect(message).toContain('--host 0.0.0.0 can be reached by others: give an --api-key');
  });
});
