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

/** Whether a row is added up by a workgroup. */
export function takesWorkgroups({ gpu }: Recorder): boolean {
  return (gpu.choices.rows ?? gpu.profile.rows) === 'workgroup';
}

/** Whether kernels for few rows share their loads within a subgroup. */
export function sharesRows({ gpu }: Recorder): boolean {
  return (gpu.choices.rows ?? gpu.profile.rows) === 'subgroup';
}

/** Workgroups enough for `invocations`. */
export function gridFor(recorder: Recorder, invocations: number): readonly [number, number] {
  return gridOf(Math.ceil(invocations / workgroupSize(recorder)));
}
