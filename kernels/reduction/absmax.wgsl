// absmax: record[0] = max(record[0], bits of max |x[i]|), unless a step before was not finite
//
//   x: f32, or inputs of products in f16 (HALF, `half_input` of half.wgsl)    record: [1] u32    norm: [4] f32, the optimizer's
//
// The bits of non-negative floats are ordered as they are, infinity above all numbers and NaN above infinity. One workgroup
// walks the whole tensor: for finding faults, not for speed.
import package::shared::half::widen_f16;
import constants::WORKGROUP;

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> record: array<u32>;
@group(0) @binding(2) var<storage, read> norm: array<f32>;

var<workgroup> found: array<u32, WORKGROUP>;

/// Of what word i holds.
fn bits_at(i: u32) -> u32 {
  @if(!HALF) return x[i] & 0x7fffffffu;
  @if(HALF) {
    let pair = bitcast<vec2u>(64.0 * widen_f16(x[i])) & vec2u(0x7fffffffu);
    return max(pair.x, pair.y);
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) local_index: u32) {
  var absmax = 0u;
  for (var i = local_index; i < arrayLength(&x); i += WORKGROUP) { absmax = max(absmax, bits_at(i)); }
  found[local_index] = absmax;
  workgroupBarrier();
  if (local_index != 0u || norm[3] == 1.0) { return; }
  for (var i = 1u; i < WORKGROUP; i++) { absmax = max(absmax, found[i]); }
  record[0] = max(record[0], absmax);
}
