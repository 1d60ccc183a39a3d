// Who sees whom on a packed token axis (attention_forward.wgsl). sees: (doc_start, prefix_end, branch_start, position) of i.

/// Which of four keys before `limit` token i sees, windows aside.
fn visible(keys: vec4u, limit: u32, i: u32, sees: vec4u) -> vec4<bool> {
  return (keys < vec4u(limit)) & (keys <= vec4u(i)) & ((keys >= vec4u(sees.z)) | ((keys >= vec4u(sees.x)) & (keys < vec4u(sees.y))));
}

/// Whether token i sees any of the keys first .. first + count, windows aside.
fn sees_some(first: u32, count: u32, i: u32, sees: vec4u) -> bool {
  let last = first + count - 1u;
  let in_branch = first <= i && last >= sees.z;
  let in_prompt = first < min(sees.y, i + 1u) && last >= sees.x;
  return in_branch || in_prompt;
}

/// Of keys that token i sees some of (sees_some), the last that it sees, which is also the nearest by position.
fn nearest_key(first: u32, count: u32, i: u32, sees: vec4u) -> u32 {
  let last = first + count - 1u;
  if (first <= i && last >= sees.z) { return min(i, last); }
  return min(min(sees.y, i + 1u) - 1u, last);
}
