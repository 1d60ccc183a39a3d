// pick: y[0] = x[INDEX]. One invocation.
override INDEX: u32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(1)
fn main() {
  y[0] = x[INDEX];
}
