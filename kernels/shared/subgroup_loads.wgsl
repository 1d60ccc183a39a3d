// What 8 invocations of a subgroup loaded, handed to all of them. Kernels that import this file `enable subgroups`.

/// The vectors of invocations 0 to 3, one a column.
fn broadcast_low(v: vec4f) -> mat4x4f {
  return mat4x4f(subgroupBroadcast(v, 0u), subgroupBroadcast(v, 1u), subgroupBroadcast(v, 2u), subgroupBroadcast(v, 3u));
}

/// The vectors of invocations 4 to 7, one a column.
fn broadcast_high(v: vec4f) -> mat4x4f {
  return mat4x4f(subgroupBroadcast(v, 4u), subgroupBroadcast(v, 5u), subgroupBroadcast(v, 6u), subgroupBroadcast(v, 7u));
}

/// The scalars of invocations 0 to 3.
fn broadcast_low_scalar(x: f32) -> vec4f {
  return vec4f(subgroupBroadcast(x, 0u), subgroupBroadcast(x, 1u), subgroupBroadcast(x, 2u), subgroupBroadcast(x, 3u));
}

/// The scalars of invocations 4 to 7.
fn broadcast_high_scalar(x: f32) -> vec4f {
  return vec4f(subgroupBroadcast(x, 4u), subgroupBroadcast(x, 5u), subgroupBroadcast(x, 6u), subgroupBroadcast(x, 7u));
}
