// metric_add: metrics[INDEX] += sum_i weights[i] * values[i];   GREATER: += sum_i weights[i] * [values[i] > others[i]]
//
//   values, others, weights: [P] f32    metrics: f32, accumulated over the micro-batches of a step
//   SUM: metrics[INDEX] += values[0].   SET: metrics[INDEX] = values[ELEMENT] instead, for quantities that belong to the step and not to its pairs.
//
//   place: INDEX, and with SET also ELEMENT; data, so that all metrics share one pipeline
//
// One invocation adds in order, so that equal inputs give equal bits; P is the number of pairs in a micro-batch.

@group(0) @binding(0) var<storage, read_write> metrics: array<f32>;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@if(!SET && !SUM) @group(0) @binding(2) var<storage, read> weights: array<f32>;
@if(GREATER) @group(0) @binding(3) var<storage, read> others: array<f32>;
@group(0) @binding(4) var<storage, read> place: vec2u;

@compute @workgroup_size(1)
fn main() {
  @if(SET) metrics[place.x] = values[place.y];
  @if(SUM) metrics[place.x] += values[0];
  @if(!SET && !SUM) {
    var sum = 0.0;
    for (var i = 0u; i < arrayLength(&weights); i++) {
      @if(GREATER) sum += weights[i] * select(0.0, 1.0, values[i] > others[i]);
      @else sum += weights[i] * values[i];
    }
    metrics[place.x] += sum;
  }
}
