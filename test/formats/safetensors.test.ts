import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.ts';
import { SafetensorsFile } from '../../src/formats/safetensors.ts';
import { type OutputTensor, safetensorsFile } from '../../src/formats/safetensors-writer.ts';
import { blobSource } from '../../src/runtime/web-sources.ts';
import { randomTensor, seededRandom, written } from './samples.ts';

const DTYPES = ['F32', 'F16', 'BF16', 'I64', 'U8', 'I32', 'F64', 'BOOL'];

async function roundTrip(tensors: readonly OutputTensor[], metadata?: Record<string, string>) {
  const files = await written('out', [safetensorsFile('x.safetensors', tensors, metadata)]);
  return { files, file: await SafetensorsFile.open(await files.open('out/x.safetensors')) };
}

describe('what is written', () => {
  it('is read back: 20 files of random tensors', async () => {
    const random = seededRandom(1);
    const upTo = (n: number) => Math.floor(random() * n);
    for (let round = 0; round < 20; round++) {
      const tensors = Array.from({ length: upTo(8) }, (_, i) =>
        randomTensor(
          {
            name: `layer.${i} "ü"`,
            dtype: DTYPES[upTo(DTYPES.length)],
            shape: Array.from({ length: upTo(4) }, () => upTo(6)),
          },
          random,
        ),
      );
      const { file } = await roundTrip(tensors);
      expect([...file.entries.keys()].sort()).toEqual(tensors.map((t) => t.name).sort());
      for (const { name, dtype, shape, bytes } of tensors) {
        expect(file.entries.get(name)).toMatchObject({ dtype, shape });
        expect(await file.readTensor(name)).toEqual(bytes);
        const from = upTo(bytes.length);
        expect(await file.readRange(name, from, bytes.length - from)).toEqual(bytes.slice(from));
      }
    }
  });

  it('is laid out as the format wants: aligned data, wide dtypes first, metadata for transformers', async () => {
    const random = seededRandom(2);
    const tensors = [
      randomTensor({ name: 'narrow', dtype: 'BF16', shape: [3] }, random),
      randomTensor({ name: 'wide', dtype: 'F32', shape: [3] }, random),
    ];
    const { files } = await roundTrip(tensors, { extra: 'text' });
    const bytes = new Uint8Array(await (await files.blob('out/x.safetensors')).arrayBuffer());
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    expect(length % 8).toBe(0);
    expect(JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)))).toEqual({
      __metadata__: { format: 'pt', extra: 'text' },
      wide: { dtype: 'F32', shape: [3], data_offsets: [0, 12] },
      narrow: { dtype: 'BF16', shape: [3], data_offsets: [12, 18] },
    });
    expect(bytes.length).toBe(8 + length + 18);
  });

  it('is asked for tensor by tensor, never all at once', async () => {
    const order: string[] = [];
    const tensor = (name: string): OutputTensor => ({
      name,
      dtype: 'U8',
      shape: [2],
      async *read() {
        order.push(`begin ${name}`);
        yield new Uint8Array(2);
        order.push(`end ${name}`);
      },
    });
    await roundTrip([tensor('a'), tensor('b')]);
    expect(order).toEqual(['begin a', 'end a', 'begin b', 'end b']);
  });

  it.each([
    [4, 4, 'takes 8 bytes, but 4 came'],
    [12, 12, 'takes 8 bytes, but 12 came'],
  ])('must have the bytes of its shape: %i of 8', async (_, count, text) => {
    const tensor = { name: 'w', dtype: 'F32', shape: [2], read: () => [new Uint8Array(count)] };
    await expect(roundTrip([tensor])).rejects.toThrow(text);
  });

  it('must have distinct names', async () => {
    const tensor = { name: 'w', dtype: 'F32', shape: [0], read: () => [] };
    await expect(roundTrip([tensor, tensor])).rejects.toThrow('w: given twice');
  });
});

describe('reading', () => {
  it('gives rows of the first dimension', async () => {
    const tensor = randomTensor({ name: 'w', dtype: 'F16', shape: [5, 2, 3] }, seededRandom(4));
    const { file } = await roundTrip([tensor]);
    expect(await file.readTensorRows('w', 1, 3)).toEqual(tensor.bytes.slice(12, 48));
    await expect(file.readTensorRows('w', 3, 3)).rejects.toThrow('of w were asked for, but it has 60');
  });

  it('stays inside the tensor and names what is missing', async () => {
    const random = seededRandom(5);
    const entry = { dtype: 'U8', shape: [4] };
    const { file } = await roundTrip([
      randomTensor({ name: 'a', ...entry }, random),
      randomTensor({ name: 'b', ...entry }, random),
    ]);
    await expect(file.readRange('a', 2, 3)).rejects.toThrow('bytes 2 to 5 of a');
    await expect(file.readRange('a', -1, 3)).rejects.toThrow(InputError);
    await expect(file.readRange('c', 0, 1)).rejects.toThrow('x.safetensors: there is no tensor c');
  });
});

/** A file with this header, and `data` bytes behind it. */
function withHeader(header: unknown, data: number, claimed?: bigint): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + data);
  new DataView(bytes.buffer).setBigUint64(0, claimed ?? BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

const f32 = (start: number, end: number, shape = [(end - start) / 4]) => ({
  dtype: 'F32',
  shape,
  data_offsets: [start, end],
});

describe('an unsound file is refused by name', () => {
  it.each<[string, Uint8Array<ArrayBuffer>, RegExp]>([
    ['empty', new Uint8Array(0), /the file is empty/],
    ['shorter than the prefix', new Uint8Array(5), /5 bytes are too few/],
    ['a header beyond the file', withHeader('{}', 0, 3n), /header claims 3 bytes, but only 2 follow/],
    ['an absurd header', withHeader('{}', 0, 2n ** 63n), /claims 9223372036854775808 bytes/],
    [
      'a pointer of Git LFS',
      new TextEncoder().encode('version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n'),
      /truncated or no safetensors. It looks like a Git LFS pointer/,
    ],
    ['no JSON', withHeader('{"a": ', 0), /header is not a JSON object/],
    ['a JSON list', withHeader('[]', 0), /header is not a JSON object/],
    [
      'truncated data',
      withHeader({ w: f32(0, 8) }, 7),
      /need 8 bytes, but the file holds 7: it is truncated/,
    ],
    [
      'data behind the end',
      withHeader({ w: f32(0, 8) }, 9),
      /need 8 bytes, but the file holds 9: there is something/,
    ],
    [
      'an overlap',
      withHeader({ a: f32(0, 8), b: f32(4, 12) }, 12),
      /b: begins at byte 4, inside .* ends at 8/,
    ],
    [
      'a hole',
      withHeader({ a: f32(0, 8), b: f32(12, 16) }, 16),
      /b: begins at byte 12, leaving a hole after byte 8/,
    ],
    [
      'a wrong byte count',
      withHeader({ w: f32(0, 8, [3]) }, 8),
      /w: F32 of shape \[3\] takes 12 bytes, but .* give 8/,
    ],
    ['an unknown dtype', withHeader({ w: { ...f32(0, 4), dtype: 'F7' } }, 4), /w: unknown dtype "F7"/],
    [
      'a dtype of the prototype',
      withHeader({ w: { ...f32(0, 4), dtype: 'constructor' } }, 4),
      /w: unknown dtype/,
    ],
    ['a negative size', withHeader({ w: f32(0, 4, [-1]) }, 4), /w: bad shape \[-1\]/],
    ['a broken size', withHeader({ w: f32(0, 4, [0.5]) }, 4), /w: bad shape/],
    ['no offsets', withHeader({ w: { dtype: 'F32', shape: [1] } }, 4), /w: bad data_offsets/],
    [
      'offsets in reverse',
      withHeader({ w: f32(4, 0, [1]) }, 4),
      /w: F32 of shape \[1\] takes 4 bytes, but .* give -4/,
    ],
    ['an entry that is none', withHeader({ w: 3 }, 0), /w: its header entry is not an object/],
  ])('%s', async (_, bytes, text) => {
    let closed = 0;
    const source = {
      ...blobSource(new Blob([bytes]), 'dir/bad.safetensors'),
      close: async () => void closed++,
    };
    const error = await SafetensorsFile.open(source).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(InputError);
    expect(String(error)).toContain('dir/bad.safetensors');
    expect(String(error)).toMatch(text);
    expect(closed).toBe(1);
  });

  it('with all its faults at once', async () => {
    const bytes = withHeader({ a: { ...f32(0, 4), dtype: 'F7' }, b: f32(0, 8, [1]) }, 8);
    const error = await SafetensorsFile.open(blobSource(new Blob([bytes]), 'x')).catch((e: unknown) => e);
    expect(String(error)).toMatch(/a: unknown dtype[\s\S]*b: F32/);
  });

  it('for every byte that is cut off at its end', async () => {
    const tensor = randomTensor({ name: 'w', dtype: 'F32', shape: [3] }, seededRandom(6));
    const { files } = await roundTrip([tensor]);
    const blob = await files.blob('out/x.safetensors');
    for (let size = 0; size < blob.size; size++)
      await expect(SafetensorsFile.open(blobSource(blob.slice(0, size), 'cut'))).rejects.toThrow(InputError);
  });
});
