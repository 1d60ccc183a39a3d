// How kernels that add up rows walk them.
//
//   ROW_PER_WORKGROUP: a workgroup to a row. Its invocations take every WORKGROUP-th element, neighbours side by side, and what they found goes
//   through workgroup memory, always in the same order. Otherwise an invocation to a row and no barriers: CPU adapters pay
//   more for a barrier than for reading a row alone.
import package::shared::grid::workgroup_index;
import constants::WORKGROUP;

@if(ROW_PER_WORKGROUP) var<workgroup> found: array<vec4f, WORKGROUP>;

/// The elements of a row that an invocation takes: this one, and every STEP-th after it.
@if(ROW_PER_WORKGROUP) fn first_element(local_index: u32) -> u32 { return local_index; }
@else fn first_element(local_index: u32) -> u32 { return 0u; }
@if(ROW_PER_WORKGROUP) const STEP = WORKGROUP;
@else const STEP = 1u;

@if(ROW_PER_WORKGROUP) fn row_of(workgroup: vec3u, workgroups: vec3u, local_index: u32) -> u32 { return workgroup_index(workgroup, workgroups); }
@else fn row_of(workgroup: vec3u, workgroups: vec3u, local_index: u32) -> u32 { return workgroup_index(workgroup, workgroups) * WORKGROUP + local_index; }

/// Whether this invocation writes what belongs to the row as a whole.
@if(ROW_PER_WORKGROUP) fn writes_row(local_index: u32) -> bool { return local_index == 0u; }
@else fn writes_row(local_index: u32) -> bool { return true; }

/// The sum over all invocations of a row, each component for itself. All of them must call it.
@if(ROW_PER_WORKGROUP) fn row_sum(own: vec4f, local_index: u32) -> vec4f {
  found[local_index] = own;
  workgroupBarrier();
  for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
    if (local_index < half) { found[local_index] += found[local_index + half]; }
    workgroupBarrier();
  }
  let sum = found[0];
  workgroupBarrier();
  return sum;
}
@else fn row_sum(own: vec4f, local_index: u32) -> vec4f { return own; }

/// The largest over all invocations of a row, each component for itself. All of them must call it.
@if(ROW_PER_WORKGROUP) fn row_max(own: vec4f, local_index: u32) -> vec4f {
  found[local_index] = own;
  workgroupBarrier();
  for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
    if (local_index < half) { found[local_index] = max(found[local_index], found[local_index + half]); }
    workgroupBarrier();
  }
  let largest = found[0];
  workgroupBarrier();
  return largest;
}
@else fn row_max(own: vec4f, local_index: u32) -> vec4f { return own; }
