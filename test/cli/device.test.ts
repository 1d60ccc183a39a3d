/** The GPU is a device, a PEFT adapter is an adapter; who uses the old words for the GPU hears the new ones. */
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/cli/config-file.ts';
import { runCli } from '../../src/cli/program.ts';
import { deviceAt, deviceOfEnvironment } from '../../src/runtime/device-choice.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';

const CONFIG = `model: {path: examples/stories260K}
objective: dpo
data: {train: examples/quickstart/train.jsonl}
output_dir: out
`;

async function stderrOf(...args: string[]): Promise<{ code: number; stderr: string }> {
  let stderr = '';
  const code = await runCli(args, {
    out() {},
    err: (text) => {
      stderr += text;
    },
    terminal: undefined,
    runtime: async () => nodeRuntime(),
    exitCode: 0,
  });
  return { code, stderr };
}

describe('the GPU', () => {
  it('is a name or a number in the configuration', () => {
    expect(parseConfig(`${CONFIG}device: nvidia\n`, 'c.yaml').config.device).toBe('nvidia');
    expect(parseConfig(`${CONFIG}device: 1\n`, 'c.yaml').config.device).toBe('1');
    expect(parseConfig(CONFIG, 'c.yaml', ['device=0']).config.device).toBe('0');
  });

  it('of a number is the one that has this place in the list of devices', async () => {
    const runtime = nodeRuntime();
    const names = await runtime.deviceNames();
    const [byIndex, byName] = await Promise.all(
      ['0', names[0]].map((device) => runtime.requestAdapter({ device })),
    );
    expect(byIndex.info.description).toBe(byName.info.description);
    await expect(runtime.requestAdapter({ device: '99' })).rejects.toThrow(
      `There is no device 99; this machine has 0 ${JSON.stringify(names[0])}`,
    );
  });

  it('is taken from the list by its place', () => {
    expect(deviceAt(['a', 'b'], '1')).toBe('b');
    expect(() => deviceAt([], '0')).toThrow('There is no device 0; this machine has none.');
  });
});

describe('the old spelling', () => {
  it.each(['train', 'validate', 'preview'])(
    '--adapter of %s names --device, and exits with 2',
    async (command) => {
      const { code, stderr } = await stderrOf(command, 'c.yaml', '--adapter', 'lavapipe');
      expect(code).toBe(2);
      expect(stderr).toContain('--device lavapipe');
    },
  );

  it('adapter: of a configuration names device:, once', () => {
    expect(() => parseConfig(`${CONFIG}adapter: nvidia\n`, 'c.yaml')).toThrow(
      /1 problem in the configuration\n.*c\.yaml:5:1: adapter: the GPU is chosen with "device: nvidia"/,
    );
  });

  it('PREFGRAD_ADAPTER names PREFGRAD_DEVICE', () => {
    expect(deviceOfEnvironment({ PREFGRAD_DEVICE: 'nvidia' })).toBe('nvidia');
    expect(deviceOfEnvironment({})).toBeUndefined();
    expect(() => deviceOfEnvironment({ PREFGRAD_ADAPTER: 'nvidia' })).toThrow('PREFGRAD_DEVICE=nvidia');
  });
});
