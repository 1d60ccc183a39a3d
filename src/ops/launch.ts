/** What every launcher repeats: the workgroup size of the adapter and a grid with one invocation per element. */
import { gridOf, type Recorder } from '../gpu/program.ts';

/** Small on CPU adapters, where one workgroup runs on one core and eight lanes are one vector. */
export function workgroupSize(recorder: Recorder): number {
  return recorder.gpu.isCpu ? 8 : 64;
}

/** Workgroups enough for `invocations`. */
export function gridFor(recorder: Recorder, invocations: number): readonly [number, number] {
  return gridOf(Math.ceil(invocations / workgroupSize(recorder)));
}
