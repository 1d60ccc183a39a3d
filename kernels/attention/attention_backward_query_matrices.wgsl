// attention_backward_query_matrices: attention_backward_query on tensor cores, 4 x MATRIX_M queries of one head to a workgroup, 32 keys at a time
//
//   Bindings and results are those of attention_backward_query; operands are rounded to f16, sums are f32. Per tile: dp from dy
//   and v, scores from q and k, then ds times k, which still lies in the tile. The order is fixed: equal inputs give equal bits.
//   attention_backward_query_matrices.raw.wgsl holds the entry point.
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
import package::attention::attention_matrix_tile::SCALE;
import package::attention::attention_matrix_tile::SCORE_PITCH;
import package::attention::attention_matrix_tile::SLICE_PITCH;
import package::attention::attention_matrix_tile::WEIGHT_PITCH;
import package::attention::attention_matrix_tile::any_invocation;
import package::attention::attention_matrix_tile::column_part;
import package::attention::attention_matrix_tile::gradient_at;
import package::attention::attention_matrix_tile::key_at;
import package::attention::attention_matrix_tile::put;
import package::attention::attention_matrix_tile::put_weights;
import package::attention::attention_matrix_tile::query_at;
import package::attention::attention_matrix_tile::query_place;
import package::attention::attention_matrix_tile::row_of;
import package::attention::attention_matrix_tile::row_part;
import package::attention::attention_matrix_tile::scores_at;
import package::attention::attention_matrix_tile::tile;
import package::attention::attention_matrix_tile::token_count;
import package::attention::attention_matrix_tile::value_at;
import package::attention::attention_matrix_tile::weights;
import package::attention::attention_query_tile::first_key;
import package::attention::attention_query_tile::sees_keys;
import package::attention::attention_query_tile::sees_tile;
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

@group(0) @binding(5) var<storage, read> stats: array<vec2f>;
@group(0) @binding(6) var<storage, read_write> dq: array<vec4f>;

/// dp, GRADIENT times, laid out as scores.
var<workgroup> products: array<f32, ROWS * SCORE_PITCH>;

fn tile_count() -> u32 { return (token_count() + ROWS - 1u) / ROWS; }
/// (first query, head, kv head) of a workgroup; heads from HEADS on do not exist.
fn unit_of(workgroup: vec3u, workgroups: vec3u) -> vec3u {
  let number = workgroup_index(workgroup, workgroups);
  let head = number / tile_count();
  return vec3u((number % tile_count()) * ROWS, head, head / (HEADS / KV_HEADS));
}
fn first_key_of(unit: vec3u) -> u32 { return first_key(unit.x); }
fn end_of(unit: vec3u) -> u32 { return min(unit.x + ROWS, token_count()); }

fn any_sees(unit: vec3u, key: u32, subgroup: u32, subgroup_lane: u32) -> bool {
  return any_invocation(subgroup, subgroup_lane, sees_tile(unit.x + row_of(subgroup, subgroup_lane), key));
}

/// Stages EDGE_K elements from vec4 d of the head on of all queries, or of their gradients.
fn stage_queries(unit: vec3u, d: u32, lane: u32) {
  for (var i = lane; i < ROW_PARTS; i += INVOCATIONS) {
    let place = row_part(i, d);
    put(place.x, query_at(unit.x + place.y, unit.y, place.z));
  }
}
fn stage_gradients(unit: vec3u, d: u32, lane: u32) {
  for (var i = lane; i < ROW_PARTS; i += INVOCATIONS) {
    let place = row_part(i, d);
    put(place.x, gradient_at(unit.x + place.y, unit.y, place.z));
  }
}
fn stage_keys(unit: vec3u, key: u32, lane: u32) {
  for (var i = lane; i < COLUMN_PARTS; i += INVOCATIONS) {
    let place = column_part(i);
    put(place.x, key_at(key + place.y, unit.z, place.z));
  }
}
fn stage_values(unit: vec3u, key: u32, lane: u32) {
  for (var i = lane; i < COLUMN_PARTS; i += INVOCATIONS) {
    let place = column_part(i);
    put(place.x, value_at(key + place.y, unit.z, place.z));
  }
}

/// Turns a query's scores and products into its weights: ds, GRADIENT times.
fn weigh(unit: vec3u, key: u32, subgroup: u32, subgroup_lane: u32) {
  let row = row_of(subgroup, subgroup_lane);
  let own = stats[min(unit.x + row, token_count() - 1u) * HEADS + unit.y];
  for (var c = 4u * (subgroup_lane % PARTS); c < COLUMNS; c += 4u * PARTS) {
    let at = row * SCORE_PITCH + c;
    let score = capped4(scores_at(at));
    let dp = vec4f(products[at], products[at + 1u], products[at + 2u], products[at + 3u]);
    let ds = exp(score - own.x) * (dp - GRADIENT * own.y) * capped_slope4(score);
    let visible = sees_keys(unit.x + row, key + c + vec4u(0u, 1u, 2u, 3u));
    put_weights(row * WEIGHT_PITCH + c, select(vec4f(), ds, visible));
  }
}

/// Stores the result matrix that a subgroup put at a column of `scores`: elements from vec4 d of the head on.
fn store(unit: vec3u, column: u32, d: u32, subgroup: u32, subgroup_lane: u32) {
  for (var i = subgroup_lane; i < EDGE_M * EDGE_N / 4u; i += SUBGROUP) {
    let row = subgroup * EDGE_M + i / (EDGE_N / 4u);
    let d4 = i % (EDGE_N / 4u);
    if (unit.x + row < token_count()) {
      let at = query_place(unit.x + row, unit.y, d + d4);
      let value = SCALE / GRADIENT * scores_at(row * SCORE_PITCH + column + 4u * d4);
      @if(ACCUMULATE) dq[at] += value;
      @else dq[at] = value;
    }
  }
}
