// Which tokens a workgroup of attention over a paged cache takes. SPLIT cuts the tokens that a row sees into chunks of CHUNK, each with a workgroup of its
// own: a grid has CHUNKS for every row, those past the row's last token are idle. Chunks begin with the first token that the
// row sees, so that its sums are grouped alike in any batch.
@if(WINDOWED) override WINDOW: u32;
@if(SPLIT) override CHUNK: u32;
@if(SPLIT) override CHUNKS: u32;

/// The first token that a query at `position` sees.
fn oldest(position: u32) -> u32 {
  @if(WINDOWED) return position + 1u - min(position + 1u, WINDOW);
  @else return 0u;
}

/// What a workgroup takes: one of the units that there are without chunks, and which chunk of it.
fn unit_at(i: u32) -> u32 {
  @if(SPLIT) return i / CHUNKS;
  @else return i;
}
fn chunk_at(i: u32) -> u32 {
  @if(SPLIT) return i % CHUNKS;
  @else return 0u;
}

/// The tokens of a chunk, which is idle where they begin behind `position`.
fn first_token(position: u32, chunk: u32) -> u32 {
  @if(SPLIT) return oldest(position) + chunk * CHUNK;
  @else return oldest(position);
}
fn end_token(position: u32, chunk: u32) -> u32 {
  @if(SPLIT) return min(position + 1u, first_token(position, chunk) + CHUNK);
  @else return position + 1u;
}

/// The chunks of a row that are not idle.
@if(SPLIT) fn chunk_count(position: u32) -> u32 {
  return (position - oldest(position)) / CHUNK + 1u;
}
