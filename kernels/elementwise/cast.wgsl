// cast: packs f32 masters into the 16-bit copy that products use, two to a u32, rounding to nearest even
//
//   x: f32    copy: u32, overwritten (bf16 when COPY_BF16, else f16). One invocation per pair.
import package::shared::grid::invocation_index;
import package::shared::half::pack_bf16;
import constants::WORKGROUP;

@group(0) @binding(0) var<storage, read> x: array<vec2f>;
@group(0) @binding(1) var<storage, read_write> copy: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = invocation_index(id, workgroups, WORKGROUP);
  if (i >= arrayLength(&copy)) { return; }
  @if(COPY_BF16) copy[i] = pack_bf16(x[i]);
  @else copy[i] = pack2x16float(x[i]);
}
