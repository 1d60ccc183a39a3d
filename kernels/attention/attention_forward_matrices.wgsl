// attention_forward_matrices: attention_forward on tensor cores, 4 x MATRIX_M queries of one head to a workgroup, 32 keys at a time
//
//   Bindings and results are those of attention_forward; operands are rounded to f16, sums are f32. Tiles of keys that none of
//   the queries sees are skipped. Weights are exp(score - reference): a query's sums are rescaled only when a score exceeds its
//   reference by more than ln 256, since matrices are opaque, and scaling their rows takes a way through shared memory.
//   attention_forward_matrices.raw.wgsl holds the entry point.
import package::attention::attention_matrix_tile::COLUMNS;
import package::attention::attention_matrix_tile::COLUMN_PARTS;
import package::attention::attention_matrix_tile::EDGE_K;
import package::attention::attention_matrix_tile::EDGE_M;
import package::attention::attention_matrix_tile::EDGE_N;
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
import package::attention::attention_matrix_tile::key_at;
import package::attention::attention_matrix_tile::max_of_row;
import package::attention::attention_matrix_tile::put;
import package::attention::attention_matrix_tile::put_scores;
import package::attention::attention_matrix_tile::put_weights;
import package::attention::attention_matrix_tile::query_at;
import package::attention::attention_matrix_tile::query_place;
import package::attention::attention_matrix_tile::row_of;
import package::attention::attention_matrix_tile::row_part;
import package::attention::attention_matrix_tile::scores_at;
import package::attention::attention_matrix_tile::sum_of_row;
import package::attention::attention_matrix_tile::tile;
import package::attention::attention_matrix_tile::token_count;
import package::attention::attention_matrix_tile::value_at;
import package::attention::attention_matrix_tile::weights;
import package::attention::attention_query_tile::first_key;
import package::attention::attention_query_tile::sees_keys;
import package::attention::attention_query_tile::sees_tile;
import package::shared::grid::workgroup_index;
import package::shared::softcap::capped4;
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

@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> lse: array<f32>;

/// What a score is where nothing is seen; its exponential counts as 0.
const UNSEEN = -3.4e38;
/// By how much a score may exceed its query's reference: weights stay below 256.
const MOST_RISE = 5.5451774;

/// Of each query, 1 / its sum of weights.
var<workgroup> factors: array<f32, ROWS>;

// What an invocation knows of its query's softmax: the reference is that of all its invocations, the sum its own share.
var<private> reference = UNSEEN;
var<private> total = 0.0;

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

/// Stages EDGE_K elements from vec4 d of the head on of all queries.
fn stage_queries(unit: vec3u, d: u32, lane: u32) {
  for (var i = lane; i < ROW_PARTS; i += INVOCATIONS) {
    let place = row_part(i, d);
    put(place.x, query_at(unit.x + place.y, unit.y, place.z));
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

/// Turns a query's scores into weights. @returns what its sums so far are to be multiplied by
fn weigh(unit: vec3u, key: u32, subgroup: u32, subgroup_lane: u32) -> f32 {
  let row = row_of(subgroup, subgroup_lane);
  let start = row * SCORE_PITCH;
  var own = vec4f(reference);
  for (var c = 4u * (subgroup_lane % PARTS); c < COLUMNS; c += 4u * PARTS) {
    let score = capped4(scores_at(start + c));
    let visible = select(vec4f(UNSEEN), score, sees_keys(unit.x + row, key + c + vec4u(0u, 1u, 2u, 3u)));
    put_scores(start + c, visible);
    own = max(own, visible);
  }
  let largest = max_of_row(max(max(own.x, own.y), max(own.z, own.w)));
  // A query that saw nothing before has no sums to rescale.
  let before = select(reference, largest, reference == UNSEEN);
  let rises = largest - before > MOST_RISE;
  reference = select(before, largest, rises);
  var sum = vec4f();
  for (var c = 4u * (subgroup_lane % PARTS); c < COLUMNS; c += 4u * PARTS) {
    let score = scores_at(start + c);
    let weight = select(exp(score - reference), vec4f(), score == vec4f(UNSEEN));
    put_weights(row * WEIGHT_PITCH + c, weight);
    sum += weight;
  }
  let factor = exp(before - reference);
  total = total * factor + (sum.x + sum.y) + (sum.z + sum.w);
  return factor;
}
fn any_rescales(factor: f32, subgroup: u32, subgroup_lane: u32) -> bool {
  return any_invocation(subgroup, subgroup_lane, factor != 1.0);
}

/// Multiplies a query's EDGE_N numbers from a column of `scores` on.
fn rescale(column: u32, factor: f32, subgroup: u32, subgroup_lane: u32) {
  let start = row_of(subgroup, subgroup_lane) * SCORE_PITCH + column;
  for (var c = 4u * (subgroup_lane % PARTS); c < EDGE_N; c += 4u * PARTS) {
    put_scores(start + c, factor * scores_at(start + c));
  }
}

fn finish(unit: vec3u, subgroup: u32, subgroup_lane: u32) {
  let sum = sum_of_row(total);
  let row = row_of(subgroup, subgroup_lane);
  if (subgroup_lane % PARTS != 0u) { return; }
  // Queries past the end may have seen nothing; nobody stores theirs.
  factors[row] = 1.0 / sum;
  if (unit.x + row < token_count()) { lse[(unit.x + row) * HEADS + unit.y] = reference + log(sum); }
}

/// Stores the result matrix that a subgroup put at a column of `scores`: elements from vec4 d of the head on.
fn store(unit: vec3u, column: u32, d: u32, subgroup: u32, subgroup_lane: u32) {
  for (var i = subgroup_lane; i < EDGE_M * EDGE_N / 4u; i += SUBGROUP) {
    let row = subgroup * EDGE_M + i / (EDGE_N / 4u);
    let d4 = i % (EDGE_N / 4u);
    if (unit.x + row < token_count()) {
      y[query_place(unit.x + row, unit.y, d + d4)] = factors[row] * scores_at(row * SCORE_PITCH + column + 4u * d4);
    }
  }
}
