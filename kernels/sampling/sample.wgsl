// sample: from logits to the next token of every row, and its log-probability
//
//   z'_v = capped logit, divided by PENALTY where positive and v was seen, multiplied where negative
//   temperature 0:  argmax z', the lower id on ties
//   otherwise:      argmax over the kept v of  z'_v / temperature + g_v,   g_v standard Gumbel noise of (key, v),
//                   which draws v with probability softmax(z' / temperature) over the kept ones
//   kept: z'_v >= t, the largest t that satisfies every filter; equals of the last one kept are kept too
//     top-k   at least k tokens        top-p   at least the share p of the probability left by top-k
//     min-p   probability of at least min_p times the largest
//   The thresholds are found exactly by four rounds over the bytes of sortable float bits: a histogram of counts (top-k) or
//   of probabilities in units of 2^-31 (top-p), whose integer sums do not depend on the order of adding.
//
//   logits: [R, V] f32    rows: [R]    seen: [slots, ceil(V / 32)] u32, a bit per token; gets the bit of the drawn one
//   last: [slots] u32, gets the drawn token    out: [R, 2 + 2 * TOP] u32: token, log-prob of the token before penalty and
//   temperature, then TOP times (id, log-prob), most probable first; log-probs only as far as the row asks for them.
//
// TARGETS: nothing is drawn; tokens are those of targets: [R] u32, with TOP_COUNT of the most probable beside each.
//
// A workgroup to a row (ROW_PER_WORKGROUP), or an invocation (rows.wgsl): no row's bits depend on another's. Limited by reading the
// logits, 2 to 14 times.
import package::shared::math::log1p;
import package::shared::rows::PARTS;
import package::shared::rows::STEP;
import package::shared::rows::first_element;
import package::shared::rows::row_of;
import package::shared::rows::row_sum;
import package::shared::rows::writes_row;
import package::shared::softcap::capped;
import constants::TOP;
import constants::WORKGROUP;

@if(TARGETS) override TOP_COUNT: u32;

/// Words of a row of out.
const STRIDE = 2u + 2u * TOP;

struct Row {
  temperature: f32,
  /// In units of 2^-31; 2^31 keeps all.
  top_p: u32,
  min_p: f32,
  penalty: f32,
  /// 0 keeps all.
  top_k: u32,
  /// Random word of (seed, sample, position).
  key: u32,
  slot: u32,
  /// 0: no log-probs; 1: of the drawn token; 1 + n: and of the n most probable.
  logprobs: u32,
}

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@if(!TARGETS) @group(0) @binding(1) var<storage, read> rows: array<Row>;
@if(!TARGETS) @group(0) @binding(2) var<storage, read_write> seen: array<u32>;
@if(!TARGETS) @group(0) @binding(3) var<storage, read_write> last: array<u32>;
@if(TARGETS) @group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(4) var<storage, read_write> out: array<u32>;

@if(ROW_PER_WORKGROUP) var<workgroup> found: array<vec2u, WORKGROUP>;
@if(ROW_PER_WORKGROUP) var<workgroup> parts: array<vec2u, PARTS>;
@if(ROW_PER_WORKGROUP) var<workgroup> bins: array<atomic<u32>, 256>;
/// Byte that a round of `threshold` chose, and what is left to be reached inside of its bin.
@if(ROW_PER_WORKGROUP) var<workgroup> chosen: vec2u;
@if(!ROW_PER_WORKGROUP) var<private> bins: array<u32, 256>;

fn row_count() -> u32 { return arrayLength(&out) / STRIDE; }

/// V, the size of the vocabulary.
fn vocabulary() -> u32 { return arrayLength(&logits) / row_count(); }

/// f32 as u32 in the same order.
fn sortable(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  return bits ^ select(0x80000000u, 0xffffffffu, bits >= 0x80000000u);
}

fn raw(row: u32, v: u32) -> f32 { return capped(logits[row * vocabulary() + v]); }

@if(!TARGETS)
fn penalised(row: u32, v: u32) -> f32 {
  let z = raw(row, v);
  let penalty = rows[row].penalty;
  if (penalty == 1.0) { return z; }
  let is_seen = (seen[rows[row].slot * ((vocabulary() + 31u) / 32u) + v / 32u] >> (v % 32u)) & 1u;
  if (is_seen == 0u) { return z; }
  return select(z * penalty, z / penalty, z > 0.0);
}

/// The one with the larger sortable (x), of equal ones with the lower id (y).
fn better(a: vec2u, b: vec2u) -> vec2u {
  if (b.x > a.x || (b.x == a.x && b.y < a.y)) { return b; }
  return a;
}

/// The best of all invocations of a row, folded as in rows.wgsl. All of them must call it.
@if(ROW_PER_WORKGROUP) fn best_of(own: vec2u, lane: u32) -> vec2u {
  found[lane] = own;
  workgroupBarrier();
  if (lane < PARTS) {
    var part = own;
    for (var i = lane + PARTS; i < WORKGROUP; i += PARTS) { part = better(part, found[i]); }
    parts[lane] = part;
  }
  workgroupBarrier();
  var best = parts[0];
  for (var i = 1u; i < PARTS; i++) { best = better(best, parts[i]); }
  return best;
}
@else fn best_of(own: vec2u, lane: u32) -> vec2u { return own; }

/// PCG's RXS-M-XS permutation (src/data/random.ts).
fn permuted(word: u32) -> u32 {
  let state = word * 747796405u + 2891336453u;
  let mixed = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
  return (mixed >> 22u) ^ mixed;
}

/// -log(-log u) for u = (word + 1/2) / 2^32, accurate at both ends.
fn gumbel(word: u32) -> f32 {
  const UNIT = 2.3283064365386963e-10;
  if (word < 0x80000000u) { return -log(-log((f32(word) + 0.5) * UNIT)); }
  return -log(-log1p(-(f32(~word) + 0.5) * UNIT));
}

/// What a token adds to its bin: 1, or its share of the mass `scale` = 2^31 / sum of exp((z - largest) / temperature).
fn share(z: f32, largest: f32, temperature: f32, scale: f32) -> u32 {
  if (scale == 0.0) { return 1u; }
  return u32(exp((z - largest) / temperature) * scale + 0.5);
}

@if(ROW_PER_WORKGROUP) fn clear_bins(lane: u32) {
  for (var b = lane; b < 256u; b += WORKGROUP) { atomicStore(&bins[b], 0u); }
  workgroupBarrier();
}
@else fn clear_bins(lane: u32) {
  for (var b = 0u; b < 256u; b++) { bins[b] = 0u; }
}

@if(ROW_PER_WORKGROUP) fn add_to_bin(b: u32, amount: u32) { atomicAdd(&bins[b], amount); }
@else fn add_to_bin(b: u32, amount: u32) { bins[b] += amount; }

@if(ROW_PER_WORKGROUP) fn bin(b: u32) -> u32 { return atomicLoad(&bins[b]); }
@else fn bin(b: u32) -> u32 { return bins[b]; }

/// The bin in which the sum from the last bin down reaches `goal` (x), and what is left of the goal there (y).
fn reached(goal: u32) -> vec2u {
  var b = 255u;
  var left = goal;
  loop {
    let held = bin(b);
    if (held >= left || b == 0u) { break; }
    left -= held;
    b--;
  }
  return vec2u(b, left);
}
@if(ROW_PER_WORKGROUP) fn row_reached(goal: u32, lane: u32) -> vec2u {
  workgroupBarrier();
  if (lane == 0u) { chosen = reached(goal); }
  return workgroupUniformLoad(&chosen);
}
@else fn row_reached(goal: u32, lane: u32) -> vec2u { return reached(goal); }

/// The largest sortable t such that the shares of tokens of at least t, and of at least `least`, reach `goal`.
@if(!TARGETS)
fn threshold(row: u32, lane: u32, least: u32, goal: u32, largest: f32, scale: f32) -> u32 {
  let temperature = rows[row].temperature;
  var prefix = 0u;
  var rest = goal;
  for (var round = 0u; round < 4u; round++) {
    let shift = 24u - 8u * round;
    clear_bins(lane);
    for (var v = first_element(lane); v < vocabulary(); v += STEP) {
      let z = penalised(row, v);
      let s = sortable(z);
      // The bytes above this round's are those chosen before; in round 0 there are none.
      let belongs = round == 0u || ((s ^ prefix) >> shift) < 256u;
      if (s >= least && belongs) { add_to_bin((s >> shift) & 255u, share(z, largest, temperature, scale)); }
    }
    let found_bin = row_reached(rest, lane);
    prefix |= found_bin.x << shift;
    rest = found_bin.y;
  }
  return prefix;
}

/// The token drawn for a row. All invocations of the row must call it.
@if(!TARGETS)
fn drawn(row: u32, lane: u32) -> u32 {
  let asked = rows[row];
  var own = vec2u(0u, vocabulary());
  for (var v = first_element(lane); v < vocabulary(); v += STEP) {
    let s = sortable(penalised(row, v));
    if (s > own.x) { own = vec2u(s, v); }
  }
  let best = best_of(own, lane).y;
  if (asked.temperature == 0.0) { return best; }

  let largest = penalised(row, best);
  var least = 0u;
  if (asked.top_k > 0u && asked.top_k < vocabulary()) { least = threshold(row, lane, 0u, asked.top_k, 0.0, 0.0); }
  if (asked.top_p < 0x80000000u) {
    var mass = 0.0;
    for (var v = first_element(lane); v < vocabulary(); v += STEP) {
      let z = penalised(row, v);
      if (sortable(z) >= least) { mass += exp((z - largest) / asked.temperature); }
    }
    let scale = 2147483648.0 / row_sum(vec4f(mass, 0.0, 0.0, 0.0), lane).x;
    least = threshold(row, lane, least, asked.top_p, largest, scale);
  }
  if (asked.min_p > 0.0) { least = max(least, sortable(largest + asked.temperature * log(asked.min_p))); }
  own = vec2u(0u, vocabulary());
  for (var v = first_element(lane); v < vocabulary(); v += STEP) {
    let z = penalised(row, v);
    if (sortable(z) < least) { continue; }
    let s = sortable(z / asked.temperature + gumbel(permuted(asked.key ^ v)));
    if (s > own.x) { own = vec2u(s, v); }
  }
  return best_of(own, lane).y;
}

/// Writes the log-prob of a token and of the `count` most probable ones. All invocations of the row must call it.
fn write_logprobs(row: u32, lane: u32, token: u32, count: u32) {
  let start = row * STRIDE;
  var best = vec2u();
  var lse = 0.0;
  // Round i finds the most probable token after those before it; the first one is needed in any case.
  for (var i = 0u; i < max(count, 1u); i++) {
    var own = vec2u(0u, vocabulary());
    for (var v = first_element(lane); v < vocabulary(); v += STEP) {
      let s = sortable(raw(row, v));
      let is_after = i == 0u || s < best.x || (s == best.x && v > best.y);
      if (is_after && s > own.x) { own = vec2u(s, v); }
    }
    best = best_of(own, lane);
    let z = raw(row, best.y);
    if (i == 0u) {
      var mass = 0.0;
      for (var v = first_element(lane); v < vocabulary(); v += STEP) { mass += exp(raw(row, v) - z); }
      lse = z + log(row_sum(vec4f(mass, 0.0, 0.0, 0.0), lane).x);
      if (writes_row(lane)) { out[start + 1u] = bitcast<u32>(raw(row, token) - lse); }
    }
    if (writes_row(lane) && i < count) {
      out[start + 2u + 2u * i] = best.y;
      out[start + 3u + 2u * i] = bitcast<u32>(z - lse);
    }
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = row_of(workgroup, workgroups, lane);
  if (row >= row_count()) { return; }
  @if(TARGETS) {
    write_logprobs(row, lane, targets[row], TOP_COUNT);
    if (writes_row(lane)) { out[row * STRIDE] = targets[row]; }
  }
  @if(!TARGETS) {
    let token = drawn(row, lane);
    let asked = rows[row];
    if (asked.logprobs > 0u) { write_logprobs(row, lane, token, asked.logprobs - 1u); }
    if (writes_row(lane)) {
      out[row * STRIDE] = token;
      last[asked.slot] = token;
      seen[asked.slot * ((vocabulary() + 31u) / 32u) + token / 32u] |= 1u << (token % 32u);
    }
  }
}
