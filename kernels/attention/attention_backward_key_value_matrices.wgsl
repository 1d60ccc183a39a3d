// attention_backward_key_value_matrices: attention_backward_key_value on tensor cores, 4 x MATRIX_M keys of one kv head to a workgroup
//
//   Bindings and results are those of attention_backward_key_value; operands are rounded to f16, sums are f32. Tiles of 32
//   queries run from the keys' own to the last that sees one of them, heads of the group inside. Per tile: scores from k and
//   q, dp from v and dy, p times dy into dv, then ds times q into dk. The order is fixed: equal inputs give equal bits.
//   Queries carry SCALE, and so does dk, which they make.
//   attention_backward_key_value_matrices.raw.wgsl holds the entry point.
import package::attention::attention_matrix_tile::COLUMNS;
import package::attention::attention_matrix_tile::COLUMN_PARTS;
import package::attention::attention_matrix_tile::EDGE_K;
import package::attention::attention_matrix_tile::EDGE_M;
import package::attention::attention_matrix_tile::EDGE_N;
import package::attention::attention_matrix_tile::GRADIENT;
import package::attention::attention_matrix_tile::HEADS;
import package::attention::attention_matrix_tile::INVOCATIONS;
import package::attention::attention_matrix_tile::KV_HEADS;
import package::attention::attention_matrix_tile::PARTS;
import package::attention::attention_matrix_tile::PITCH;
import package::attention::attention_matrix_tile::ROWS;
import package::attention::attention_matrix_tile::ROW_PARTS;
import package::attention::attention_matrix_tile::SCORE_PITCH;
import package::attention::attention_matrix_tile::SLICE_PITCH;
import package::attention::attention_matrix_tile::WEIGHT_PITCH;
import package::attention::attention_matrix_tile::any_invocation;
import package::attention::attention_matrix_tile::column_part;
import package::attention::attention_matrix_tile::gradient_at;
import package::attention::attention_matrix_tile::key_at;
import package::attention::attention_matrix_tile::key_place;
import package::attention::attention_matrix_tile::put;
import package::attention::attention_matrix_tile::put_weights;
import package::attention::attention_matrix_tile::query_at;
import package::attention::attention_matrix_tile::row_of;
import package::attention::attention_matrix_tile::row_part;
import package::attention::attention_matrix_tile::scores_at;
import package::attention::attention_matrix_tile::tile;
import package::attention::attention_matrix_tile::token_count;
import package::attention::attention_matrix_tile::value_at;
import package::attention::attention_matrix_tile::weights;
import package::shared::grid::workgroup_index;
import package::shared::softcap::capped4;
import package::shared::softcap::capped_slope4;
import constants::DEPTH_PARTS;
import constants::HEAD4;
import constants::MATRIX_K;
import constants::MATRIX_M;
import constants::MATRIX_N;
import constants::SUBGROUP;
import constants::WIDTH_PARTS;

enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;

@if(WINDOWED) override WINDOW: u32;

@group(0) @binding(3) var<storage, read> seen: array<vec2u>;
@group(0) @binding(5) var<storage, read> stats: array<vec2f>;
@group(0) @binding(6) var<storage, read_write> dk: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> dv: array<vec4f>;

/// dp, GRADIENT times, laid out as scores; and ds, GRADIENT times, laid out as weights, which are p.
var<workgroup> products: array<f32, ROWS * SCORE_PITCH>;
var<workgroup> slopes: array<f16, ROWS * WEIGHT_PITCH>;

fn tile_count() -> u32 { return (token_count() + ROWS - 1u) / ROWS; }
/// (first key, kv head) of a workgroup; kv heads from KV_HEADS on do not exist.
fn unit_of(workgroup: vec3u, workgroups: vec3u) -> vec2u {
  let number = workgroup_index(workgroup, workgroups);
  return vec2u((number % tile_count()) * ROWS, number / tile_count());
}
fn first_query_of(unit: vec2u) -> u32 { return unit.x / COLUMNS * COLUMNS; }
fn first_head_of(unit: vec2u) -> u32 { return unit.y * (HEADS / KV_HEADS); }
fn end_head_of(unit: vec2u) -> u32 { return (unit.y + 1u) * (HEADS / KV_HEADS); }

/// Whether any key is seen by a query from `query` on. Keys past the end are seen by nobody.
fn any_seen(unit: vec2u, query: u32, subgroup: u32, subgroup_lane: u32) -> bool {
  let j = unit.x + row_of(subgroup, subgroup_lane);
  let end = select(0u, seen[min(j, token_count() - 1u)].x, j < token_count());
  return any_invocation(subgroup, subgroup_lane, end > query);
}

/// Stages EDGE_K elements from vec4 d of the head on of all keys, or of their values.
fn stage_keys(unit: vec2u, d: u32, lane: u32) {
  for (var i = lane; i < ROW_PARTS; i += INVOCATIONS) {
    let place = row_part(i, d);
    put(place.x, key_at(unit.x + place.y, unit.y, place.z));
  }
}
fn stage_values(unit: vec2u, d: u32, lane: u32) {
  for (var i = lane; i < ROW_PARTS; i += INVOCATIONS) {
    let place = row_part(i, d);
    put(place.x, value_at(unit.x + place.y, unit.y, place.z));
  }
}
fn stage_queries(query: u32, head: u32, lane: u32) {
  for (var i = lane; i < COLUMN_PARTS; i += INVOCATIONS) {
    let place = column_part(i);
    put(place.x, query_at(query + place.y, head, place.z));
  }
}
fn stage_gradients(query: u32, head: u32, lane: u32) {
  for (var i = lane; i < COLUMN_PARTS; i += INVOCATIONS) {
    let place = column_part(i);
    put(place.x, gradient_at(query + place.y, head, place.z));
  }
}

/// Which of four queries see key j.
fn see(queries: vec4u, j: u32) -> vec4<bool> {
  let last = token_count() - 1u;
  if (j > last) { return vec4<bool>(false); }
  let reach = seen[j];
  var visible = (queries >= vec4u(j)) & (queries < vec4u(reach.x));
  @if(WINDOWED) {
    let i = min(queries, vec4u(last));
    visible = visible & (vec4u(seen[i.x].y, seen[i.y].y, seen[i.z].y, seen[i.w].y) - vec4u(reach.y) < vec4u(WINDOW));
  }
  return visible;
}

/// Turns a key's scores and products into its weights and slopes.
fn weigh(unit: vec2u, query: u32, head: u32, subgroup: u32, subgroup_lane: u32) {
  let row = row_of(subgroup, subgroup_lane);
  for (var c = 4u * (subgroup_lane % PARTS); c < COLUMNS; c += 4u * PARTS) {
    let queries = query + c + vec4u(0u, 1u, 2u, 3u);
    let own = min(queries, vec4u(token_count() - 1u)) * HEADS + head;
    let lse = vec4f(stats[own.x].x, stats[own.y].x, stats[own.z].x, stats[own.w].x);
    let delta = vec4f(stats[own.x].y, stats[own.y].y, stats[own.z].y, stats[own.w].y);
    let at = row * SCORE_PITCH + c;
    let score = capped4(scores_at(at));
    let dp = vec4f(products[at], products[at + 1u], products[at + 2u], products[at + 3u]);
    let p = select(vec4f(), exp(score - lse), see(queries, unit.x + row));
    let ds = p * (dp - GRADIENT * delta) * capped_slope4(score);
    put_weights(row * WEIGHT_PITCH + c, p);
    let half = vec4<f16>(ds);
    for (var e = 0u; e < 4u; e++) { slopes[row * WEIGHT_PITCH + c + e] = half[e]; }
  }
}

/// Stores the result matrices that a subgroup put at a column of `scores` and of `products`: dv and dk, elements from vec4 d of
/// the head on.
fn store(unit: vec2u, column: u32, d: u32, subgroup: u32, subgroup_lane: u32) {
  for (var i = subgroup_lane; i < EDGE_M * EDGE_N / 4u; i += SUBGROUP) {
    let row = subgroup * EDGE_M + i / (EDGE_N / 4u);
    let d4 = i % (EDGE_N / 4u);
    if (unit.x + row < token_count()) {
      let at = key_place(unit.x + row, unit.y, d + d4);
      let place = row * SCORE_PITCH + column + 4u * d4;
      dv[at] = scores_at(place) / GRADIENT;
      dk[at] = vec4f(products[place], products[place + 1u], products[place + 2u], products[place + 3u]) / GRADIENT;
    }
  }
}
