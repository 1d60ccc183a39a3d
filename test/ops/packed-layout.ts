/** The index tensors of attention for documents given as [prompt length, answer length, answer length, ...]. */

import { tokenBlocks } from '../../src/data/token-blocks.ts';
import type { AttentionLayout } from '../../src/ops/attention/attention.ts';
import type { Workbench } from '../support/workbench.ts';

/** Every length counts tokens of the packed axis. */
export function packedLayout(bench: Workbench, documents: readonly (readonly number[])[]): AttentionLayout {
  const visibility: number[] = [];
  const seen: number[] = [];
  let token = 0;
  for (const [prompt, ...answers] of documents) {
    const start = token;
    const prefixEnd = start + prompt;
    const end = answers.reduce((sum, n) => sum + n, prefixEnd);
    const add = (branchStart: number, length: number, firstPosition: number, seenEnd: number) => {
      for (let i = 0; i < length; i++) {
        visibility.push(start, prefixEnd, branchStart, firstPosition + i);
        seen.push(seenEnd, firstPosition + i);
      }
      token += length;
    };
    add(start, prompt, 0, end);
    for (const length of answers) add(token, length, prompt, token + length);
  }
  const blocks = tokenBlocks(visibility, token);
  return {
    visibility: bench.indices('visibility', [token, 4], visibility),
    seen: bench.indices('seen', [token, 2], seen),
    blocks: bench.indices('blocks', [blocks.length / 2, 2], blocks),
  };
}
