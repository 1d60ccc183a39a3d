// attention_forward_matrices: attention_forward on tensor cores, 4 x MATRIX_M queries of one head to a workgroup, 32 keys at a time
//
//   Bindings and results are those of attention_forward, but that y may be the input of a product in f16 (HALF, `half_input` of half.wgsl), and the blocks of attention_query_tile.wgsl, where tiles of queries begin;
//   operands are rounded to f16, sums are f32. Tiles of keys that none of the queries sees are skipped. Weights are exp(score - reference): a query's sums are rescaled only when a score exceeds its
//   reference by more than ln 256, since matrices are opaque, and scaling their rows takes a way through shared memory.
//   attention_forward_matrices.raw.wgsl holds the entry point.
import package::attention::attention_matrix_tile::COLUMNS;
import package::attention::attention_matrix_tile::COLUMN_PARTS;
import package::attention::attention_matrix_tile::EDGE_K;
import package::attention::attention_matrix_tile::EDGE_M;
import package::attention::attention_matrix_tile::EDGE_N;
import package::attention::attention_matrix_tile::INVOCATIONS;
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
import package::attention::attention_matrix_tile::row_of;
import package::attention::attention_matrix_tile::row_part;
import package::attention::attention_matrix_tile::scores_at;
import package::attention::attention_matrix_tile::sum_of_row;
import package::attention::attention_matrix_tile::tile;
import package::attention::attention_matrix_tile::value_at;
import package::attention::attention_matrix_tile::weights;
import package::attention::attention_operands::HEADS;
import package::attention::attention_operands::group_size;
import package::attention::attention_operands::query_start;
import package::attention::attention_query_tile::QueryTile;
import package::attention::attention_query_tile::query_tile;
import package::attention::visible_keys::Walk;
import package::attention::visible_keys::next_keys;
import package::attention::visible_keys::sees_any;
import package::attention::visible_keys::sees_keys;
import package::attention::visible_keys::visibility;
import package::attention::visible_keys::walk_keys;
import package::shared::half::half_input;
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

@if(HALF) @group(0) @binding(4) var<storage, read_write> y: array<vec2u>;
@if(!HALF) @group(0) @binding(4) var<storage, read_write> y: array<vec4f>;
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

fn tile_of(workgroup: vec3u, workgroups: vec3u) -> QueryTile { return query_tile(workgroup, workgroups, ROWS); }
fn is_empty(queries: QueryTile) -> bool { return queries.first == queries.end || queries.head >= HEADS; }
fn keys_of(queries: QueryTile) -> Walk { return walk_keys(visibility[queries.first], queries.end); }
fn further(walk: Walk) -> Walk { return next_keys(walk, COLUMNS); }

/// Whether any of the queries sees a tile of keys. Of those that begin with the first query or before, what any sees the first does:
/// its window reaches back furthest. Those behind begin with the key of a query of the tile.
fn any_sees(queries: QueryTile, key: u32) -> bool {
  return key > queries.first || sees_any(queries.first, key, COLUMNS);
}

/// Stages EDGE_K elements from vec4 d of the head on of all queries.
fn stage_queries(queries: QueryTile, d: u32, lane: u32) {
  for (var i = lane; i < ROW_PARTS; i += INVOCATIONS) {
    let place = row_part(i, d);
    put(place.x, query_at(queries.first + place.y, queries.head, place.z));
  }
}
fn stage_keys(queries: QueryTile, key: u32, lane: u32) {
  for (var i = lane; i < COLUMN_PARTS; i += INVOCATIONS) {
    let place = column_part(i);
    put(place.x, key_at(key + place.y, queries.head / group_size(), place.z));
  }
}
fn stage_values(queries: QueryTile, key: u32, lane: u32) {
  for (var i = lane; i < COLUMN_PARTS; i += INVOCATIONS) {
    let place = column_part(i);
    put(place.x, value_at(key + place.y, queries.head / group_size(), place.z));
  }
}

/// Turns a query's scores into weights. @returns what its sums so far are to be multiplied by
fn weigh(queries: QueryTile, walk: Walk, subgroup: u32, subgroup_lane: u32) -> f32 {
  let row = row_of(subgroup, subgroup_lane);
  let start = row * SCORE_PITCH;
  var own = vec4f(reference);
  for (var c = 4u * (subgroup_lane % PARTS); c < COLUMNS; c += 4u * PARTS) {
    let score = capped4(scores_at(start + c));
    let keys = walk.key + c + vec4u(0u, 1u, 2u, 3u);
    // The last tile of a prompt's keys may reach into an answer, whose keys are walked later.
    let seen = sees_keys(queries.first + row, keys) & (keys < vec4u(walk.limit));
    let visible = select(vec4f(UNSEEN), score, seen);
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

fn finish(queries: QueryTile, subgroup: u32, subgroup_lane: u32) {
  let sum = sum_of_row(total);
  let row = row_of(subgroup, subgroup_lane);
  if (subgroup_lane % PARTS != 0u) { return; }
  // Queries past the end may have seen nothing; nobody stores theirs.
  factors[row] = 1.0 / sum;
  if (queries.first + row < queries.end) { lse[(queries.first + row) * HEADS + queries.head] = reference + log(sum); }
}

/// Stores the result matrix that a subgroup put at a column of `scores`: elements from vec4 d of the head on.
fn store(queries: QueryTile, column: u32, d: u32, subgroup: u32, subgroup_lane: u32) {
  for (var i = subgroup_lane; i < EDGE_M * EDGE_N / 4u; i += SUBGROUP) {
    let row = subgroup * EDGE_M + i / (EDGE_N / 4u);
    let d4 = i % (EDGE_N / 4u);
    if (queries.first + row < queries.end) {
      let result = factors[row] * scores_at(row * SCORE_PITCH + column + 4u * d4);
      let place = query_start(queries.first + row, queries.head) + d + d4;
      @if(HALF) y[place] = half_input(result);
      @if(!HALF) y[place] = result;
    }
  }
}
