// Which queries see a key on a packed token axis: visible_keys.wgsl from the other side
//
//   Query i sees key j when j <= i < seen_end[j]; WINDOWED: and position[i] - position[j] < WINDOW.
//   seen: [T] vec2u (seen_end, position); `own` is that of a key
//
// They lie in a row, from the key itself on, so that the walk over them is a plain loop.

@if(WINDOWED) override WINDOW: u32;

@group(0) @binding(3) var<storage, read> seen: array<vec2u>;

/// Which of four queries see key j, windows aside.
fn seeing(queries: vec4u, j: u32, own: vec2u) -> vec4<bool> {
  return (queries >= vec4u(j)) & (queries < vec4u(own.x));
}

/// Whether query i, behind the key, has it in its window.
fn in_window(i: u32, own: vec2u) -> bool {
  @if(WINDOWED) return seen[i].y - own.y < WINDOW;
  @else return true;
}
