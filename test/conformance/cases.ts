/** The one list of conformance cases, and how it is run on an adapter. */
import { Gpu } from '../../src/gpu/device.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import type { CaseResult, ConformanceCase } from './case.ts';
import { longHeadCases, matrixCases } from './matrix-cases.ts';
import { modelCases } from './model.ts';
import { objectiveCases } from './objectives.ts';
import { opCases } from './ops.ts';
import { sixteenBitCases } from './sixteen-bit.ts';
import { LOSSES, trainingCases } from './training.ts';

export const cases: readonly ConformanceCase[] = [
  ...opCases,
  ...sixteenBitCases,
  ...objectiveCases,
  ...modelCases,
  ...trainingCases,
];

/**
 * Which cases run. 'full' trains for 20 steps, the others for 2 and without the long cases: 'short' leaves tensor cores
 * alone, 'tensor cores' is about nothing else, 'end to end' has no single ops, 'ops' nothing else. 'matrices' is a list of
 * its own, for adapters with tensor cores, to which 'long heads' adds what only GPUs compile in time.
 */
export type Scope = keyof typeof scopes;

const notLong = ({ isLong }: ConformanceCase): boolean => isLong !== true;
const shortOps = opCases.filter(notLong);
const endToEnd = [...objectiveCases, ...modelCases, ...trainingCases].filter(notLong);

const scopes = {
  full: cases,
  ops: shortOps,
  short: [...shortOps, ...endToEnd],
  'end to end': endToEnd,
  'tensor cores': sixteenBitCases.filter(notLong),
  matrices: matrixCases,
  'long heads': [...matrixCases, ...longHeadCases],
} as const satisfies Record<string, readonly ConformanceCase[]>;

export const casesOf = (scope: Scope): readonly ConformanceCase[] => scopes[scope];

/** Files that the cases read; a browser fetches them from the repository. */
export const caseFiles: readonly string[] = [
  'test/fixtures/golden/golden.json',
  LOSSES,
  'test/fixtures/torch/tiny-llama.json',
  ...['tiny-llama', 'tiny-llama-reference'].flatMap((model) =>
    ['config.json', 'model.safetensors'].map((name) => `test/fixtures/torch/${model}/${name}`),
  ),
  ...[
    'config.json',
    'generation_config.json',
    'model.safetensors',
    'tokenizer.json',
    'tokenizer_config.json',
  ].map((name) => `examples/stories260K/${name}`),
  'examples/quickstart/train.jsonl',
];

/** Which adapter ran the cases. */
export interface AdapterReport {
  readonly adapter: string;
  readonly driver: string;
}

/** Runs the cases one after the other. A case that fails does not stop the others. */
export async function runCases(
  runtime: Runtime,
  scope: Scope,
  onResult: (result: CaseResult) => void,
): Promise<AdapterReport> {
  const gpu = await Gpu.open(runtime);
  const steps = scope === 'full' ? 20 : 2;
  try {
    for (const { group, name, run } of casesOf(scope)) {
      const start = performance.now();
      const error = await run({ gpu, runtime, steps }).then(
        () => undefined,
        (failure: unknown) => (failure instanceof Error ? failure.message : String(failure)),
      );
      onResult({ group, name, error, seconds: (performance.now() - start) / 1000 });
    }
    return { adapter: gpu.deviceName, driver: gpu.driver };
  } finally {
    gpu.close();
  }
}
