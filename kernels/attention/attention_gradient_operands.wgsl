// What the gradients of attention read besides its operands
//
//   dy: [T, HEADS * 4 * HEAD4] f32, laid out as q    stats: [T, HEADS] vec2f (lse, delta), see attention_backward_stats.wgsl
@group(0) @binding(4) var<storage, read> dy: array<vec4f>;
@group(0) @binding(5) var<storage, read> stats: array<vec2f>;
