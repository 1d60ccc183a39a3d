// What the gradients of attention on tensor cores share besides attention_matrix_tile.wgsl: dy, GRADIENT times
import package::attention::attention_gradient_operands::dy;
import package::attention::attention_operands::query_start;
import package::attention::attention_operands::token_count;

/// A power of two that gradients are multiplied by on their way into 16 bits, so that small ones survive.
const GRADIENT = 4096.0;

/// Vec4 d of a head's gradient, 0 past the last token.
fn gradient_at(token: u32, head: u32, d: u32) -> vec4f {
  if (token >= token_count()) { return vec4f(); }
  return GRADIENT * dy[query_start(token, head) + d];
}
