/**
 * The token axis of a packed batch cut into blocks of at most BLOCK tokens of one prompt or one answer. Tokens of a block
 * see the same stretches of the axis (and themselves), so that one workgroup walks the same keys for all of them; and
 * since blocks begin where prompts and answers do, a token's numbers do not depend on what it was packed with.
 */

/** Tokens in a block: the lanes that share what they load. */
export const BLOCK = 8;

/** Prompts and answers that one example may have: KTO's three answers, each with a prompt of its own. */
const MOST_SEGMENTS = 6;

/** Blocks that a batch of so many tokens and examples needs at most. */
export function mostBlocks({ tokens, pairs }: { readonly tokens: number; readonly pairs: number }): number {
  return Math.ceil(tokens / BLOCK) + MOST_SEGMENTS * pairs + 1;
}

/**
 * @param visibility [tokens, 4]: document start, prompt end, branch start, position
 * @param used tokens that are not empty slots
 * @returns first token and number of tokens of every block, [blocks, 2]
 */
export function tokenBlocks(visibility: ArrayLike<number>, used: number): number[] {
  const blocks: number[] = [];
  const tokens = visibility.length / 4;
  let start = 0;
  for (let i = 1; i <= tokens; i++) {
    // A prompt's branch is the prompt; empty slots are all alike.
    const isSame = i < tokens && (i < used ? visibility[4 * i + 2] === visibility[4 * start + 2] : i > used);
    if (isSame && i - start < BLOCK) continue;
    blocks.push(start, i - start);
    start = i;
  }
  return blocks;
}
