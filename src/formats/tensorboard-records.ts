/**
 * TensorBoard's records: protobuf messages `Event`, framed as TFRecord. Only the few fields that scalars need.
 *
 *     Event   { 1: double wall_time; 2: int64 step; 3: string file_version; 5: Summary summary }
 *     Summary { 1: repeated Value { 1: string tag; 2: float simple_value } }
 */
import { maskedCrc32c } from './crc32c.ts';

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** The first record of every event file. @param wallTime - seconds since 1970 */
export function versionRecord(wallTime: number): Uint8Array<ArrayBuffer> {
  return frame([...wallTimeField(wallTime), ...bytesField(3, new TextEncoder().encode('brain.Event:2'))]);
}

/** Named values at one step. */
export function scalarsRecord(
  wallTime: number,
  step: number,
  values: Readonly<Record<string, number>>,
): Uint8Array<ArrayBuffer> {
  const summary = Object.entries(values).flatMap(([tag, value]) =>
    bytesField(1, [...bytesField(1, new TextEncoder().encode(tag)), ...floatField(2, value)]),
  );
  return frame([...wallTimeField(wallTime), ...varintField(2, step), ...bytesField(5, summary)]);
}

/** TFRecord: length (u64), its checksum, the data, its checksum. */
function frame(message: ArrayLike<number>): Uint8Array<ArrayBuffer> {
  const length = message.length;
  const bytes = new Uint8Array(12 + length + 4);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(length), true);
  view.setUint32(8, maskedCrc32c(bytes.subarray(0, 8)), true);
  bytes.set(message, 12);
  view.setUint32(12 + length, maskedCrc32c(bytes.subarray(12, 12 + length)), true);
  return bytes;
}

function wallTimeField(seconds: number): number[] {
  return [...varint((1 << 3) | FIXED64), ...new Uint8Array(new Float64Array([seconds]).buffer)];
}

function floatField(field: number, value: number): number[] {
  return [...varint((field << 3) | FIXED32), ...new Uint8Array(new Float32Array([value]).buffer)];
}

function varintField(field: number, value: number): number[] {
  return [...varint((field << 3) | VARINT), ...varint(value)];
}

function bytesField(field: number, bytes: ArrayLike<number>): number[] {
  return [...varint((field << 3) | BYTES), ...varint(bytes.length), ...Array.from(bytes)];
}

/** Seven bits a byte, lowest first; the top bit says that more follow. */
function varint(value: number): number[] {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is no step or length.`);
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  return [...bytes, rest];
}
