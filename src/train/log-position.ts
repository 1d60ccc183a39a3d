/** Whether metrics.jsonl is cut where a checkpoint says: after the lines of the steps done, before all others. */
import { InputError } from '../errors.ts';
import type { FileSystem } from '../runtime/runtime.ts';
import type { TrainerState } from './trainer-state.ts';

/** @throws InputError where lines of steps done would be cut off, or lines of later steps kept */
export async function checkLogPosition(
  files: FileSystem,
  directory: string,
  { global_step: step, metrics_offset: offset, tensorboard }: TrainerState,
): Promise<void> {
  const path = `${directory}/metrics.jsonl`;
  const events = `${directory}/${tensorboard.file}`;
  if ((await files.exists(events)) && (await sizeOf(files, events)) < tensorboard.offset)
    throw new InputError(
      `${events}: the checkpoint of step ${step} has more of it than is there; remove it.`,
    );
  if (!(await files.exists(path))) return;
  const bytes = await readBytes(files, path);
  const wrong = (what: string) =>
    new InputError(
      `${path}: the checkpoint of step ${step} continues it at byte ${offset}, ${what}. Its trainer_state.json or this file ` +
        'is damaged; resume from another checkpoint with --resume PATH.',
    );
  if (offset > bytes.length) throw wrong(`but it has only ${bytes.length}`);
  if (offset > 0 && bytes[offset - 1] !== NEWLINE) throw wrong('which is inside of a line');
  const text = (part: Uint8Array) => new TextDecoder().decode(part).split('\n');
  const last = stepOf(text(bytes.subarray(0, offset)).at(-2));
  if (last !== undefined && last > step) throw wrong(`behind a line of step ${last}`);
  const [next] = text(bytes.subarray(offset));
  const first = stepOf(next);
  // Means over held-out rows may follow a checkpoint of the same step.
  if (first === undefined || next.includes('"eval_')) return;
  if (first <= step) throw wrong(`but a line of step ${first} follows`);
}

const NEWLINE = 0x0a;

async function readBytes(files: FileSystem, path: string): Promise<Uint8Array> {
  const source = await files.open(path);
  try {
    return await source.readRange(0, source.size);
  } finally {
    await source.close();
  }
}

/** undefined for no line, and for one that was not finished. */
function stepOf(line: string | undefined): number | undefined {
  const step = /^\{"step":(\d+)[,}]/.exec(line ?? '')?.[1];
  return step === undefined ? undefined : Number(step);
}

async function sizeOf(files: FileSystem, path: string): Promise<number> {
  const source = await files.open(path);
  await source.close();
  return source.size;
}
