// next_tokens: what each row feeds to the model: the token it was told, or the one drawn last in its slot
//
//   ids[r] = forced[r] where that is a token, else last[slots[r]]
//
//   forced, slots, ids: [R] u32    last: [slots] u32. No token: 0xffffffff.   One invocation per row.
import package::shared::grid::invocation_index;
import constants::WORKGROUP;

@group(0) @binding(0) var<storage, read> forced: array<u32>;
@group(0) @binding(1) var<storage, read> slots: array<u32>;
@group(0) @binding(2) var<storage, read> last: array<u32>;
@group(0) @binding(3) var<storage, read_write> ids: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let row = invocation_index(id, workgroups, WORKGROUP);
  if (row >= arrayLength(&ids)) { return; }
  ids[row] = select(forced[row], last[slots[row]], forced[row] == 0xffffffffu);
}
