/** What is given up for memory, and in which order. */
import { describe, expect, it } from 'vitest';
import { type MemorySettings, memoryPlanFor } from '../../src/train/memory-plan.ts';

const LAYERS = 6;
const settings: MemorySettings = { gradient_checkpointing: true, offload_optimizer: false };

/** A run of 100 bytes, of which a block gives back 10 and the moments 20. */
function within(memory_budget: number | undefined, more: Partial<MemorySettings> = {}) {
  const asked: number[] = [];
  const plan = memoryPlanFor({ ...settings, ...more, memory_budget }, LAYERS, (one) => {
    asked.push(one.recomputedBlocks);
    return 100 - 10 * one.recomputedBlocks - (one.moments === 'host' ? 20 : 0);
  });
  return { plan, asked };
}

describe('a memory plan', () => {
  it('without a budget is what the other keys say, and asks for no bytes', () => {
    expect(within(undefined)).toEqual({ plan: { recomputedBlocks: LAYERS, moments: 'gpu' }, asked: [] });
    const kept = { gradient_checkpointing: false, offload_optimizer: true };
    expect(within(undefined, kept).plan).toEqual({ recomputedBlocks: 0, moments: 'host' });
  });

  it.each([
    [100, 0, 'gpu'],
    [99, 1, 'gpu'],
    [70, 3, 'gpu'],
    [40, 6, 'gpu'],
    [39, 5, 'host'],
    [20, 6, 'host'],
  ])('of %i bytes recomputes %i blocks, with moments on the %s', (budget, recomputedBlocks, moments) => {
    expect(within(budget).plan).toEqual({ recomputedBlocks, moments });
  });

  it('keeps moments on the host where that was asked for', () => {
    expect(within(70, { offload_optimizer: true }).plan).toEqual({ recomputedBlocks: 1, moments: 'host' });
  });

  it('asks for few plans: making one takes time', () => {
    expect(within(70).asked.length).toBeLessThanOrEqual(4);
  });

  it('is refused with the least that the run takes', () => {
    expect(() => within(19)).toThrow(
      "training.memory_budget: 19 B is too little. With every block recomputed and the optimizer's moments in host memory the run takes 20 B",
    );
  });
});
