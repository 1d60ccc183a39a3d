// What one invocation takes at a time: VEC4, four neighbours, where rows are multiples of four; otherwise one element.

@if(VEC4) alias Elements = vec4f;
@else alias Elements = f32;
@if(VEC4) const WIDTH = 4u;
@else const WIDTH = 1u;

@if(VEC4) fn sum_of(e: Elements) -> f32 { return (e.x + e.y) + (e.z + e.w); }
@else fn sum_of(e: Elements) -> f32 { return e; }

@if(VEC4) fn largest_of(e: Elements) -> f32 { return max(max(e.x, e.y), max(e.z, e.w)); }
@else fn largest_of(e: Elements) -> f32 { return e; }
