// swiglu_backward: dgate = dy up (s + g s (1 - s)),   dup = dy g s,   s = sigmoid(g), element by element
//
//   gate, up, dy, dgate, dup: equal length, f32; dgate and dup are overwritten.
//   One invocation per element; limited by bandwidth.
import package::grid::invocation_index;
import constants::WORKGROUP;

@group(0) @binding(0) var<storage, read> gate: array<f32>;
@group(0) @binding(1) var<storage, read> up: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dgate: array<f32>;
@group(0) @binding(4) var<storage, read_write> dup: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = invocation_index(id, workgroups, WORKGROUP);
  if (i >= arrayLength(&dy)) { return; }
  let g = gate[i];
  let s = 1.0 / (1.0 + exp(min(-g, 80.0)));
  dgate[i] = dy[i] * up[i] * s * (1.0 + g * (1.0 - s));
  dup[i] = dy[i] * g * s;
}
