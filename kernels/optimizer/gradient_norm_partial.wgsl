// gradient_norm_partial: partial[s] = sum of squares of every S-th group of four elements of a slab, from the s-th on
//
//   gradient: f32, a multiple of 4    partial: [S] f32, overwritten.
//
// One invocation per partial sum, neighbours on neighbouring memory, in order, so that equal inputs give equal bits.
// A square above the largest f32 (an element above 1.8e19) makes the norm infinite. Limited by bandwidth.
import package::shared::grid::invocation_index;
import constants::WORKGROUP;

@group(0) @binding(0) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> partial: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let s = invocation_index(id, workgroups, WORKGROUP);
  let splits = arrayLength(&partial);
  if (s >= splits) { return; }
  var sum = vec4f();
  for (var i = s; i < arrayLength(&gradient); i += splits) { sum += gradient[i] * gradient[i]; }
  partial[s] = (sum.x + sum.y) + (sum.z + sum.w);
}
