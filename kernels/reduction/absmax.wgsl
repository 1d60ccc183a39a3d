// absmax: record[0] = max(record[0], bits of max |x[i]|), unless a step before was not finite
//
//   x: f32    record: [1] u32    norm: [4] f32, the optimizer's
//
// The bits of non-negative floats are ordered as they are, infinity above all numbers and NaN above infinity. One workgroup
// walks the whole tensor: for finding faults, not for speed.
import constants::WORKGROUP;

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> record: array<u32>;
@group(0) @binding(2) var<storage, read> norm: array<f32>;

var<workgroup> found: array<u32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) local_index: u32) {
  var absmax = 0u;
  for (var i = local_index; i < arrayLength(&x); i += WORKGROUP) { absmax = max(absmax, x[i] & 0x7fffffffu); }
  found[local_index] = absmax;
  workgroupBarrier();
  if (local_index != 0u || norm[3] == 1.0) { return; }
  for (var i = 1u; i < WORKGROUP; i++) { absmax = max(absmax, found[i]); }
  record[0] = max(record[0], absmax);
}
