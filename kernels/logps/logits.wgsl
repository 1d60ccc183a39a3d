// Logits as kernels read them from a chunk, VEC4 at a time or one by one, with Gemma 2's cap where there is one.
import package::shared::elements::Elements;
import package::shared::softcap::capped;
import package::shared::softcap::capped4;
import package::shared::softcap::capped_slope;
import package::shared::softcap::capped_slope4;

@if(VEC4) fn capped_elements(z: Elements) -> Elements { return capped4(z); }
@else fn capped_elements(z: Elements) -> Elements { return capped(z); }

@if(VEC4) fn capped_slopes(value: Elements) -> Elements { return capped_slope4(value); }
@else fn capped_slopes(value: Elements) -> Elements { return capped_slope(value); }

/// One logit of what was loaded: the `column`-th of its row lies in element column / WIDTH.
@if(VEC4) fn element_at(e: Elements, column: u32) -> f32 { return e[column % 4u]; }
@else fn element_at(e: Elements, column: u32) -> f32 { return e; }
