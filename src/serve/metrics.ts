/** GET /metrics, in Prometheus' text format. */
import type { Engine } from '../generate/engine.ts';

export class RequestCounts {
  readonly #byOutcome = new Map<string, number>();
  /** Requests being answered. */
  active = 0;

  count(route: string, status: number): void {
    const key = `route="${route}",status="${status}"`;
    this.#byOutcome.set(key, (this.#byOutcome.get(key) ?? 0) + 1);
  }

  text({ statistics: s }: Engine): string {
    const lines: string[] = [];
    const add = (
      name: string,
      type: 'counter' | 'gauge',
      help: string,
      values: readonly [string, number][],
    ) => {
      lines.push(`# HELP prefgrad_${name} ${help}`, `# TYPE prefgrad_${name} ${type}`);
      for (const [labels, value] of values)
        lines.push(`prefgrad_${name}${labels === '' ? '' : `{${labels}}`} ${value}`);
    };
    add('requests_total', 'counter', 'Requests answered.', [...this.#byOutcome]);
    add('requests_active', 'gauge', 'Requests being answered.', [['', this.active]]);
    add('prompt_tokens_total', 'counter', 'Tokens of prompts computed.', [['', s.promptTokens]]);
    add('generation_tokens_total', 'counter', 'Tokens drawn.', [['', s.generatedTokens]]);
    add('preemptions_total', 'counter', 'Sequences started over for want of memory.', [['', s.preemptions]]);
    add('sequences_running', 'gauge', 'Sequences that decode.', [['', s.running]]);
    add('sequences_waiting', 'gauge', 'Sequences that wait for a place.', [['', s.waiting]]);
    add('cache_blocks_used', 'gauge', 'Blocks of the key/value cache in use.', [['', s.blocksUsed]]);
    add('cache_blocks_held', 'gauge', 'Blocks of the key/value cache in memory.', [['', s.blocksHeld]]);
    return `${lines.join('\n')}\n`;
  }
}
