// Who sees whom on a packed token axis (attention_forward.wgsl); windows aside.

/// Which of four keys before `limit` token i sees. sees: (doc_start, prefix_end, branch_start, position) of i.
fn visible(keys: vec4u, limit: u32, i: u32, sees: vec4u) -> vec4<bool> {
  return (keys < vec4u(limit)) & (keys <= vec4u(i)) & ((keys >= vec4u(sees.z)) | ((keys >= vec4u(sees.x)) & (keys < vec4u(sees.y))));
}
