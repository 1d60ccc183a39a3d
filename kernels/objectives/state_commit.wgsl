// state_commit: state[0] = next[0] when the step's gradient was finite (norm[2] = 1); otherwise nothing moves
//
//   next, state: [1] f32    norm: f32 of gradient_norm.wgsl. One invocation.
@group(0) @binding(0) var<storage, read> next: array<f32>;
@group(0) @binding(1) var<storage, read> norm: array<f32>;
@group(0) @binding(2) var<storage, read_write> state: array<f32>;

@compute @workgroup_size(1)
fn main() {
  if (norm[2] == 1.0) { state[0] = next[0]; }
}
