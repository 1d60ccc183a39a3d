// matmul_tile16: Y = X Wᵀ with the textbook tile: 16 x 16 outputs, operands staged in shared memory. Something to be
// compared with, not part of the engine.
//
//   x: [T, K] f32    w: [N, K] f32    y: [T, N] f32, overwritten    T, N, K are multiples of 16
override N: u32;
override K: u32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

var<workgroup> xs: array<f32, 256>;
var<workgroup> ws: array<f32, 256>;

@compute @workgroup_size(16, 16)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let row = group.y * 16u + local.y;
  let column = group.x * 16u + local.x;
  var sum = 0.0;
  for (var k = 0u; k < K; k += 16u) {
    xs[local.y * 16u + local.x] = x[row * K + k + local.x];
    // Turned on its way in, so that neighbouring invocations read neighbouring words of it.
    ws[local.x * 16u + local.y] = w[(group.x * 16u + local.y) * K + k + local.x];
    workgroupBarrier();
    for (var i = 0u; i < 16u; i++) { sum += xs[local.y * 16u + i] * ws[i * 16u + local.x]; }
    workgroupBarrier();
  }
  y[row * N + column] = sum;
}
