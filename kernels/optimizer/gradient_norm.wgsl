// gradient_norm: result = (norm, clip scale, finite, failed)
//
//   norm = sqrt(sum partial);   clip scale = min(1, max_norm / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_
//   finite = 1, or 0 when the sum is infinite or NaN: then the optimizer and all state updates stand still, in this
//   step and (failed = 1) in all that follow, since the host hears of it a step later and must find what was there before.
//
//   partial: f32    MAX_NORM: the limit, 0 for none    result: [4] f32, overwritten but for `failed`.
//
// One invocation adds in order. Compilers may assume that there are no infinities, so finiteness is read off the
// exponent bits.
override MAX_NORM: f32;

@group(0) @binding(0) var<storage, read> partial: array<f32>;
@group(0) @binding(1) var<storage, read_write> result: array<f32>;

@compute @workgroup_size(1)
fn main() {
  var sum = 0.0;
  for (var i = 0u; i < arrayLength(&partial); i++) { sum += partial[i]; }
  let finite = (bitcast<u32>(sum) & 0x7f800000u) != 0x7f800000u;
  let norm = sqrt(sum);
  result[0] = norm;
  result[1] = select(1.0, min(1.0, MAX_NORM / (norm + 1e-6)), MAX_NORM > 0.0);
  if (!finite) { result[3] = 1.0; }
  result[2] = 1.0 - result[3];
}
