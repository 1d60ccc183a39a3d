/** What every launcher repeats: the workgroup size of the adapter and a grid with one invocation per element. */
import { gridOf, type Recorder } from '../gpu/program.ts';

/** A CPU adapter spends about 0.1 us on each workgroup, whatever it does: larger ones, then, as long as all cores get some. */
export function workgroupSize(recorder: Recorder): number {
  return recorder.gpu.isCpu ? 128 : 64;
}

/**
 * Of kernels that add up rows (rows.wgsl): a workgroup to each row, or on CPU adapters, where barriers are dear, an
 * invocation. `gpu.choices` may hold 'rows': 'wide' or 'narrow'.
 */
export function rowLaunch(recorder: Recorder, rows: number) {
  const WIDE = areRowsWide(recorder);
  return {
    conditions: { WIDE },
    constants: { WORKGROUP: workgroupSize(recorder) },
    grid: WIDE ? gridOf(rows) : gridFor(recorder, rows),
  };
}

/** Whether a row has a workgroup to itself. */
export function areRowsWide({ gpu }: Recorder): boolean {
  return (gpu.choices.get('rows') ?? (gpu.isCpu ? 'narrow' : 'wide')) === 'wide';
}

/** Workgroups enough for `invocations`. */
export function gridFor(recorder: Recorder, invocations: number): readonly [number, number] {
  return gridOf(Math.ceil(invocations / workgroupSize(recorder)));
}
