/** What every stage needs: where things are, how large they are, and one runtime whose kernels stay compiled. */
import type { Runtime } from '../../src/index.ts';
import type { Pace } from './pace.ts';
import type { Size } from './plan.ts';

export interface Study {
  readonly runtime: Runtime;
  readonly size: Size;
  readonly paths: Paths;
  /** The problems by which learning rates are chosen. */
  readonly tuneOn: 'validation' | 'test';
  readonly pace: Pace;
  readonly note: (line: string) => void;
}

export type Paths = ReturnType<typeof pathsIn>;

/** A stage is done when its file is there; a study that was stopped goes on behind the last one. */
export function pathsIn(directory: string) {
  const at = (name: string) => `${directory}/${name}`;
  return {
    directory,
    init: at('init'),
    sft: at('sft.jsonl'),
    base: at('base'),
    baseModel: at('base/model'),
    baseTest: at('base/test.jsonl'),
    task: at('task.yaml'),
    questions: at('validation-questions.jsonl'),
    pool: at('pool.jsonl'),
    unbridged: at('unbridged.jsonl'),
    bridged: at('bridged.jsonl'),
    pairs: at('pairs.jsonl'),
    heldOut: at('pairs-held-out.jsonl'),
    referenceCache: at('reference-cache'),
    sweep: at('sweep.jsonl'),
    figures: at('figures'),
    result: at('study.json'),
    table: at('table.md'),
    share: (share: number) => at(`pairs-share-${share}.jsonl`),
    run: (name: string) => at(`runs/${name}`),
    scores: (name: string) => at(`scores/${name}.jsonl`),
  };
}
