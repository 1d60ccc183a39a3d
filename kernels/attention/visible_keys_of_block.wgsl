// Which of a walk's 8 keys the queries of a block see (visible_keys.wgsl, attention_block.wgsl)
import package::attention::attention_block::four_from;
import package::attention::visible_keys::Walk;
import package::attention::visible_keys::visibility;
import package::attention::visible_keys::visible;
import package::shared::subgroup_loads::broadcast_high_scalar;
import package::shared::subgroup_loads::broadcast_low_scalar;

@if(WINDOWED) import package::attention::visible_keys::WINDOW;

/// Of the first and of the last four keys.
struct Eight { low: vec4<bool>, high: vec4<bool> }

/// `own_key` is the one that this invocation loads.
fn eight_visible(walk: Walk, own_key: u32, i: u32, sees: vec4u) -> Eight {
  let low = visible(four_from(walk.key), walk.limit, i, sees);
  let high = visible(four_from(walk.key + 4u), walk.limit, i, sees);
  @if(WINDOWED) {
    let position = f32(visibility[own_key].w);
    let reach = vec4f(f32(WINDOW));
    return Eight(low & (f32(sees.w) - broadcast_low_scalar(position) < reach), high & (f32(sees.w) - broadcast_high_scalar(position) < reach));
  }
  @else return Eight(low, high);
}
