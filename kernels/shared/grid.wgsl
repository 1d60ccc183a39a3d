// Undoes the folding of long one-dimensional grids (src/gpu/program.ts, gridOf).

/// The number of this workgroup in a grid that may have been folded into two dimensions.
fn workgroup_index(workgroup: vec3u, workgroups: vec3u) -> u32 {
  return workgroup.y * workgroups.x + workgroup.x;
}

/// The number of this invocation in such a grid of workgroups of `size` invocations.
fn invocation_index(id: vec3u, workgroups: vec3u, size: u32) -> u32 {
  return id.y * workgroups.x * size + id.x;
}
