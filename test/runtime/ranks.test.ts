/** Ranks as far as one process can tell: what launchers say, which device each takes, what values survive an exchange. */
import { describe, expect, it, vi } from 'vitest';
import { InputError } from '../../src/errors.ts';
import { localRank, startedRank, startedRanks } from '../../src/runtime/launcher.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import { jobOf } from '../../src/runtime/open-mpi.ts';
import { deviceOfRank, sharedCard, withRankDevices } from '../../src/runtime/rank-device.ts';
import { gatherValues, ONE_RANK, withRanks } from '../../src/runtime/ranks.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import { asRanks } from '../support/local-ranks.ts';

describe('what a launcher says', () => {
  it('mpirun', () => {
    const env = { OMPI_COMM_WORLD_SIZE: '8', OMPI_COMM_WORLD_RANK: '5', OMPI_COMM_WORLD_LOCAL_RANK: '1' };
    expect([startedRanks(env), startedRank(env), localRank(env)]).toEqual([8, 5, 1]);
  });

  it('srun with PMIx', () => {
    const env = { PMIX_RANK: '3', SLURM_NTASKS: '4', SLURM_LOCALID: '3' };
    expect([startedRanks(env), startedRank(env), localRank(env)]).toEqual([4, 3, 3]);
  });

  it('a shell inside of an allocation starts one process', () => {
    expect(startedRanks({ SLURM_NTASKS: '4' })).toBe(1);
    expect(startedRanks({})).toBe(1);
  });
});

it('without Open MPI a rank says which command installs it', async () => {
  const env = { OMPI_COMM_WORLD_SIZE: '2', PREFGRAD_MPI_LIBRARY: 'libmpi-of-nobody.so' };
  const missing =
    "Open MPI's library (libmpi-of-nobody.so) is missing here. Install it: apt-get install -y openmpi-bin";
  await expect(jobOf(env).allGather(new Uint8Array(1))).rejects.toThrow(missing);
  await expect(jobOf(env).allGather(new Uint8Array(1))).rejects.toBeInstanceOf(InputError);
});

it('without koffi a rank says which command installs it', async () => {
  vi.doMock('koffi', () => {
    throw new Error('Cannot find package koffi');
  });
  const alone = jobOf({ OMPI_COMM_WORLD_SIZE: '2' }).allGather(new Uint8Array(1));
  const error = await alone.catch((reason: unknown) => reason);
  vi.doUnmock('koffi');
  expect(error).toBeInstanceOf(InputError);
  expect((error as InputError).message).toContain('need the package koffi. Install it: npm install koffi');
});

describe('the device of a rank', () => {
  const cpu = 'llvmpipe (LLVM 15.0.6, 256 bits)';

  it('is the only GPU that it sees, whatever its place', () => {
    expect(deviceOfRank(['NVIDIA H100', cpu], 5)).toBe('auto');
  });

  it('is the n-th of several', () => {
    expect(deviceOfRank(['NVIDIA A100', 'AMD Radeon', cpu], 1)).toBe('AMD Radeon');
  });

  it('is the CPU where there is no GPU', () => {
    expect(deviceOfRank([cpu], 2)).toBe('auto');
  });

  it('is missing where there are more ranks than GPUs', () => {
    expect(() => deviceOfRank(['A', 'B'], 2)).toThrow('Start at most 2 ranks here');
  });

  const card = { host: 'box', name: 'NVIDIA H100', isCpu: false };

  it('may not be the card of another', () => {
    const cards = ['/dev:1', '/dev:2'];
    expect(
      sharedCard([
        { ...card, cards },
        { ...card, cards },
      ]),
    ).toMatch('Ranks 0 and 1 would share a card of box');
    expect(
      sharedCard([
        { ...card, cards: [] },
        { ...card, cards: [] },
      ]),
    ).toMatch('NVIDIA H100');
  });

  it('may be one of the same name when each rank sees its own alone, or on another machine', () => {
    expect(
      sharedCard([
        { ...card, cards: ['/dev:1'] },
        { ...card, cards: ['/dev:2'] },
      ]),
    ).toBeUndefined();
    expect(
      sharedCard([
        { ...card, cards: [] },
        { ...card, host: 'other', cards: [] },
      ]),
    ).toBeUndefined();
  });

  it('may be shared when it is a CPU', () => {
    const shared = { ...card, isCpu: true, cards: [] };
    expect(sharedCard([shared, shared])).toBeUndefined();
  });
});

describe('ranks of a machine with several cards', () => {
  /** What each of two ranks asks for. @returns the message of the error where there is one */
  const askedBy = (names: readonly string[], device?: string) =>
    asRanks(2, async (ranks) => {
      const asked: (string | undefined)[] = [];
      const machine: Runtime = {
        ...nodeRuntime(),
        deviceNames: async () => [...names],
        async requestAdapter(choice) {
          asked.push(choice?.device);
          const info = {
            vendor: 'nvidia',
            architecture: 'hopper',
            device: choice?.device ?? '',
            description: '',
          };
          return { info } as GPUAdapter;
        },
      };
      const runtime = withRankDevices(withRanks(machine, ranks), undefined);
      return runtime.requestAdapter({ device }).then(
        () => asked[0],
        (error: unknown) => (error instanceof InputError ? error.message : String(error)),
      );
    });

  it('take the one of their place', async () => {
    expect(await askedBy(['NVIDIA H100', 'NVIDIA A100'])).toEqual(['NVIDIA H100', 'NVIDIA A100']);
  });

  it.each([undefined, '0', 'h100'])(
    'are refused one card for both, as device %s gives them',
    async (device) => {
      for (const message of await askedBy(device === undefined ? ['H100', 'H100'] : ['H100', 'A100'], device))
        expect(message).toContain('Ranks 0 and 1 would share a card');
    },
  );
});

/** A rank whose partner gives the same. */
const twins = { ...ONE_RANK, rank: 1, size: 2, allGather: async (b: Uint8Array<ArrayBuffer>) => [b, b] };

describe('a rank', () => {
  it('gets values as they were given, also those that are not finite', async () => {
    const value = { a: [1, Number.NaN, -Infinity], b: 'text', c: '\u0000NaN', d: '\u0000\u0000' };
    expect(await gatherValues(twins, value)).toEqual([value, value]);
    expect(await gatherValues(twins, undefined)).toEqual([undefined, undefined]);
  });

  it('other than the first writes nothing, and reads what is there', async () => {
    const { files } = withRanks(nodeRuntime(), twins);
    const sink = await files.create('test/runtime/no-such-folder/file');
    await sink.write('text');
    await sink.close();
    expect(await files.exists('test/runtime/no-such-folder')).toBe(false);
    expect(await files.exists('test/runtime/ranks.test.ts')).toBe(true);
  });
});
