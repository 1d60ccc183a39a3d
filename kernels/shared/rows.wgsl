// How kernels that add up rows walk them.
//
//   ROW_PER_WORKGROUP: a workgroup to a row. Its invocations take every WORKGROUP-th element, neighbours side by side, and what they found goes
//   through workgroup memory, always in the same order: the first PARTS invocations fold every PARTS-th of what was found, then
//   all of them fold the parts. Two barriers, where halves upon halves would take one for each. What one fold reads last, the
//   next one writes behind a barrier. Otherwise an invocation to a row and no barriers: CPU adapters pay more for a barrier than for
//   reading a row alone.
import package::shared::grid::workgroup_index;
import constants::WORKGROUP;

const PARTS = min(16u, WORKGROUP);

@if(ROW_PER_WORKGROUP) var<workgroup> found: array<vec4f, WORKGROUP>;
@if(ROW_PER_WORKGROUP) var<workgroup> parts: array<vec4f, PARTS>;

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
  if (local_index < PARTS) {
    var part = own;
    for (var i = local_index + PARTS; i < WORKGROUP; i += PARTS) { part += found[i]; }
    parts[local_index] = part;
  }
  workgroupBarrier();
  var sum = parts[0];
  for (var i = 1u; i < PARTS; i++) { sum += parts[i]; }
  return sum;
}
@else fn row_sum(own: vec4f, local_index: u32) -> vec4f { return own; }

/// The largest over all invocations of a row, each component for itself. All of them must call it.
@if(ROW_PER_WORKGROUP) fn row_max(own: vec4f, local_index: u32) -> vec4f {
  found[local_index] = own;
  workgroupBarrier();
  if (local_index < PARTS) {
    var part = own;
    for (var i = local_index + PARTS; i < WORKGROUP; i += PARTS) { part = max(part, found[i]); }
    parts[local_index] = part;
  }
  workgroupBarrier();
  var largest = parts[0];
  for (var i = 1u; i < PARTS; i++) { largest = max(largest, parts[i]); }
  return largest;
}
@else fn row_max(own: vec4f, local_index: u32) -> vec4f { return own; }
