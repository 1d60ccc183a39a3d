import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { crc32c, maskedCrc32c } from '../../src/formats/crc32c.ts';
import { TensorBoardWriter } from '../../src/formats/tensorboard.ts';
import { MemoryFiles } from '../../src/runtime/memory-files.ts';
import { EVENTS, writeEvents } from '../fixtures/tensorboard/events.ts';

const FIXTURE = 'test/fixtures/tensorboard';

describe('crc32c', () => {
  // RFC 3720, B.4, and the check value of the CRC catalogue.
  it.each<[string, ArrayLike<number>, number]>([
    ['nothing', [], 0],
    ['"123456789"', new TextEncoder().encode('123456789'), 0xe3069283],
    ['32 zeros', new Uint8Array(32), 0x8a9136aa],
    ['32 ones', new Uint8Array(32).fill(0xff), 0x62a8ab43],
    ['0 to 31', Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
    ['31 to 0', Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
  ])('of %s', (_, bytes, crc) => {
    expect(crc32c(Uint8Array.from(bytes))).toBe(crc);
  });

  it('is masked by a rotation of 15 bits and a constant', () => {
    expect(maskedCrc32c(new Uint8Array(0))).toBe(0xa282ead8);
    const crc = 0xe3069283n;
    const masked = (((crc >> 15n) | (crc << 17n)) + 0xa282ead8n) & 0xffffffffn;
    expect(maskedCrc32c(new TextEncoder().encode('123456789'))).toBe(Number(masked));
  });
});

type Field = { field: number; value: number | bigint | Uint8Array };

/** Fields of a protobuf message. */
function fieldsOf(bytes: Uint8Array): Field[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  const fields: Field[] = [];
  while (at < bytes.length) {
    const key = Number(varint());
    const field = key >> 3;
    const take = (length: number) => {
      at += length;
      return at - length;
    };
    if ((key & 7) === 0) fields.push({ field, value: varint() });
    else if ((key & 7) === 1) fields.push({ field, value: view.getFloat64(take(8), true) });
    else if ((key & 7) === 5) fields.push({ field, value: view.getFloat32(take(4), true) });
    else {
      const length = Number(varint());
      const start = take(length);
      fields.push({ field, value: bytes.subarray(start, start + length) });
    }
  }
  return fields;
}

const text = (value: Field['value']) => new TextDecoder().decode(value as Uint8Array);

interface ParsedEvent {
  time?: number;
  step?: number;
  version?: string;
  scalars?: Record<string, number>;
}

/** All events of a file; checks every length and checksum. */
function parseEvents(bytes: Uint8Array): ParsedEvent[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const events: ParsedEvent[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(view.getBigUint64(at, true));
    expect(view.getUint32(at + 8, true)).toBe(maskedCrc32c(bytes.subarray(at, at + 8)));
    const data = bytes.subarray(at + 12, at + 12 + length);
    expect(view.getUint32(at + 12 + length, true)).toBe(maskedCrc32c(data));
    at += 16 + length;
    const event: ParsedEvent = {};
    for (const { field, value } of fieldsOf(data)) {
      if (field === 1) event.time = Number(value);
      if (field === 2) event.step = Number(value);
      if (field === 3) event.version = text(value);
      if (field === 5) {
        const values = fieldsOf(value as Uint8Array).map((v) => fieldsOf(v.value as Uint8Array));
        event.scalars = Object.fromEntries(values.map(([tag, x]) => [text(tag.value), Number(x.value)]));
      }
    }
    events.push(event);
  }
  return events;
}

const now = () => 1700000000.25;

async function eventsOf(files: MemoryFiles, file: string): Promise<ParsedEvent[]> {
  return parseEvents(new Uint8Array(await (await files.blob(`runs/${file}`)).arrayBuffer()));
}

describe('an event file', () => {
  it('is one in which TensorBoard itself found every scalar', async () => {
    const files = new MemoryFiles();
    const name = await writeEvents(files, 'runs');
    // What test/fixtures/tensorboard/read.py gave to TensorBoard, byte for byte, and what TensorBoard made of it.
    const written = new Uint8Array(await (await files.blob(`runs/${name}`)).arrayBuffer());
    expect(Buffer.from(written)).toEqual(readFileSync(`${FIXTURE}/run/${name}`));
    const { scalars } = JSON.parse(readFileSync(`${FIXTURE}/read.json`, 'utf8'));
    const expected: Record<string, unknown[]> = {};
    for (const [step, values] of EVENTS)
      for (const [tag, value] of Object.entries(values)) {
        const shown = Number.isFinite(value)
          ? Math.fround(value)
          : { NaN: 'nan', Infinity: 'inf' }[String(value)];
        expected[tag] = [...(expected[tag] ?? []), [step, 1_700_000_000.25, shown]];
      }
    expect(scalars).toEqual(expected);
  });

  it('holds a version and the scalars of every step', async () => {
    const files = new MemoryFiles();
    const writer = await TensorBoardWriter.open(files, 'runs', { now });
    await writer.scalars(1, { 'train/loss': 0.7, 'rewards/margins': -2.5 });
    await writer.scalars(2 ** 40, { é: Number.POSITIVE_INFINITY, n: Number.NaN });
    await writer.scalars(0, {});
    await writer.close();
    expect(writer.file).toMatch(/^events\.out\.tfevents\.1700000000\.prefgrad\.0$/);
    expect(await eventsOf(files, writer.file)).toEqual([
      { time: 1700000000.25, version: 'brain.Event:2' },
      {
        time: 1700000000.25,
        step: 1,
        scalars: { 'train/loss': Math.fround(0.7), 'rewards/margins': -2.5 },
      },
      { time: 1700000000.25, step: 2 ** 40, scalars: { é: Number.POSITIVE_INFINITY, n: Number.NaN } },
      { time: 1700000000.25, step: 0, scalars: {} },
    ]);
  });

  it('continues at the offset of a checkpoint, byte for byte as if never stopped', async () => {
    const through = new MemoryFiles();
    const stopped = new MemoryFiles();
    const whole = await TensorBoardWriter.open(through, 'runs', { now });
    const first = await TensorBoardWriter.open(stopped, 'runs', { now });
    for (const writer of [whole, first]) await writer.scalars(1, { loss: 1 });
    const offset = first.offset;
    await first.scalars(2, { loss: 99 });
    await first.close();
    const second = await TensorBoardWriter.open(stopped, 'runs', {
      now,
      resume: { file: first.file, offset },
    });
    for (const writer of [whole, second]) await writer.scalars(2, { loss: 2 });
    expect(second.offset).toBe(whole.offset);
    expect(await eventsOf(stopped, first.file)).toEqual(await eventsOf(through, whole.file));
  });

  it('is begun anew where the old one is gone, and never overwrites another', async () => {
    const files = new MemoryFiles();
    const resume = { file: 'gone', offset: 10 };
    const first = await TensorBoardWriter.open(files, 'runs', { now, resume });
    const second = await TensorBoardWriter.open(files, 'runs', { now });
    expect(await files.list('runs')).toEqual([first.file, second.file]);
  });

  it('refuses a step that is no count', async () => {
    const writer = await TensorBoardWriter.open(new MemoryFiles(), 'runs', { now });
    expect(() => writer.scalars(-1, {})).toThrow('-1 is no step');
    expect(() => writer.scalars(0.5, {})).toThrow(RangeError);
  });
});
