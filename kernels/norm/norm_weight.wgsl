import package::shared::elements::Elements;

/// What a norm multiplies by: its weight, or with UNIT_OFFSET (Gemma) 1 more, so that a weight of 0 changes nothing.
fn norm_weight(w: Elements) -> Elements {
  @if(UNIT_OFFSET) return 1.0 + w;
  @if(!UNIT_OFFSET) return w;
}
