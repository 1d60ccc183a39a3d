/** What every launcher repeats: the workgroup size of the adapter and a grid with one invocation per element. */
import { gridOf, type Recorder } from '../gpu/program.ts';

/** Invocations of a workgroup. */
export function workgroupSize({ gpu }: Recorder): number {
  return gpu.profile.workgroup;
}

/** Of kernels that add up rows (rows.wgsl): a workgroup to each row, or an invocation. */
export function rowLaunch(recorder: Recorder, rows: number) {
  const ROW_PER_WORKGROUP = takesWorkgroups(recorder);
  return {
    conditions: { ROW_PER_WORKGROUP },
    constants: { WORKGROUP: workgroupSize(recorder) },
    grid: ROW_PER_WORKGROUP ? gridOf(rows) : gridFor(recorder, rows),
  };
}

/** Most elements of a row (or vec4s of it) that an invocation keeps in registers. */
const MOST_HELD = 8;

/**
 * As `rowLaunch`, for kernels that read rows of `length` elements (or vec4s) twice: invocations of a workgroup hold four each where the
 * row allows it, and on CPU adapters, where an invocation has the whole row, none.
 */
export function heldRowLaunch(recorder: Recorder, rows: number, length: number) {
  const launch = rowLaunch(recorder, rows);
  if (!launch.conditions.ROW_PER_WORKGROUP) return { ...launch, constants: { ...launch.constants, HELD: 0 } };
  const WORKGROUP = Math.min(256, Math.max(32, 2 ** Math.ceil(Math.log2(length / 4))));
  return { ...launch, constants: { WORKGROUP, HELD: Math.min(MOST_HELD, Math.ceil(length / WORKGROUP)) } };
}

/**
 * Of kernels that take `count` elements (or vec4s) once and are bounded by memory: on GPUs four to an invocation, a workgroup apart, so
 * that neighbours load side by side and four loads are on their way at once.
 */
export function streamLaunch({ gpu }: Recorder, count: number) {
  const { workgroup: WORKGROUP, each: EACH } = gpu.profile.stream;
  return { constants: { WORKGROUP, EACH }, grid: gridOf(Math.ceil(count / (WORKGROUP * EACH))) };
}

/** Whether a row is added up by a workgroup. */
export function takesWorkgroups({ gpu }: Recorder): boolean {
  return (gpu.choices.rows ?? gpu.profile.rows) === 'workgroup';
}

/** Whether a decoding step is to run on tensor cores, where kernels for it fit. */
export function decodesOnMatrices(recorder: Recorder): boolean {
  return recorder.gpu.choices.decodesOnMatrices === true && takesWorkgroups(recorder);
}

/** Whether kernels for few rows share their loads within a subgroup. */
export function sharesRows({ gpu }: Recorder): boolean {
  return (gpu.choices.rows ?? gpu.profile.rows) === 'subgroup';
}

/** Workgroups enough for `invocations`. */
export function gridFor(recorder: Recorder, invocations: number): readonly [number, number] {
  return gridOf(Math.ceil(invocations / workgroupSize(recorder)));
}
