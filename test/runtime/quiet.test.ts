import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';

const NOISE = 'Warning: maxDynamicUniformBuffersPerPipelineLayout artificially reduced from 9 to 1.';

/** Runs a program that writes to stderr as drivers do, below Node. */
function stderrOf(env: Readonly<Record<string, string>> = {}): string {
  const program = `
    import * as fs from 'node:fs';
    import { quietly } from './src/runtime/quiet.ts';
    fs.writeSync(2, 'before\\n');
    const found = await quietly(() => fs.writeSync(2, '${NOISE}\\nERROR: no such driver\\n'));
    fs.writeSync(2, found > 0 ? 'after\\n' : '');
    fs.writeSync(2, '${NOISE}\\n');`;
  const args = ['--import', 'tsx', '--input-type=module', '-e', program];
  return spawnSync(process.execPath, args, { encoding: 'utf8', env: { ...process.env, ...env } }).stderr;
}

describe.runIf(process.platform === 'linux')('quietly', () => {
  it("keeps Dawn's warnings off stderr during the call, and nothing else", () => {
    expect(stderrOf()).toBe(`before\nERROR: no such driver\nafter\n${NOISE}\n`);
  });

  it('shows them where the user asks for everything', () => {
    expect(stderrOf({ PREFGRAD_VERBOSE: '1' })).toBe(
      `before\n${NOISE}\nERROR: no such driver\nafter\n${NOISE}\n`,
    );
  });
});
