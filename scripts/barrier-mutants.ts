/**
 * npm run mutants: deletes every workgroupBarrier() of kernels/ in turn and runs the conformance cases of that kernel's family,
 * by the kernels of GPUs, on the adapter at hand. A deletion that no case notices is listed, unless docs/barriers.md gives
 * the reason why no CPU adapter can show it.
 *
 *   npm run mutants [-- PART]     PART: of a kernel's path; default all
 *
 * Run it with LP_NATIVE_VECTOR_WIDTH=128 as well: subgroups of four split a workgroup into most parts.
 */
import { readFileSync } from 'node:fs';
import { Gpu } from '../src/gpu/device.ts';
import { nodeRuntime } from '../src/runtime/node.ts';
import type { ConformanceCase } from '../test/conformance/case.ts';
import { cases } from '../test/conformance/cases.ts';

const BARRIER = 'workgroupBarrier();';

/** Which cases run the kernels of a file: by a word in the case's name or group. */
const CASES: readonly (readonly [file: RegExp, wanted: RegExp])[] = [
  [/^attention\/attention_(forward|backward|tile)/, /attention.*by the kernels of GPUs/],
  [/^attention\/attention_paged/, /greedy text/],
  [/^linear\/linear_matrices/, /^16-bit/],
  [/^linear\/linear_tiled/, /(linear|product).*by the kernels of GPUs/],
  [/^linear\/linear_rows/, /greedy text/],
  [/^sampling\//, /greedy text/],
  [/^shared\/rows/, /(rms norm|log-probs).*by the kernels of GPUs/],
  [/^reduction\//, /first steps of the quickstart/],
];

interface Mutant {
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  readonly sources: Record<string, string>;
}

function mutantsOf(sources: Record<string, string>, part: string): Mutant[] {
  return Object.entries(sources)
    .filter(([file]) => file.includes(part))
    .flatMap(([file, text]) => {
      const places = [...text.matchAll(/workgroupBarrier\(\);/g)].map(({ index }) => index);
      return places.map((at) => ({
        file,
        line: text.slice(0, at).split('\n').length,
        sources: { ...sources, [file]: text.slice(0, at) + text.slice(at + BARRIER.length) },
      }));
    });
}

function casesOf(file: string): ConformanceCase[] {
  const wanted = CASES.find(([pattern]) => pattern.test(file))?.[1];
  if (wanted === undefined)
    throw new RangeError(`No case is known to run ${file}; add one to scripts/barrier-mutants.ts.`);
  return cases.filter(({ group, name }) => wanted.test(`${group}: ${name}`));
}

/** The first case that notices; undefined when all pass. */
async function noticed(mutant: Mutant): Promise<string | undefined> {
  const runtime = { ...nodeRuntime(), kernelSources: async () => mutant.sources };
  const gpu = await Gpu.open(runtime, { profile: 'gpu' });
  try {
    for (const { name, run } of casesOf(mutant.file)) {
      const error = await run({ gpu, runtime, steps: 2 }).then(
        () => undefined,
        (failure: unknown) => String(failure),
      );
      if (error !== undefined) return name;
    }
    return undefined;
  } finally {
    gpu.close();
  }
}

const excused = readFileSync(new URL('../docs/barriers.md', import.meta.url), 'utf8');
const sources = await nodeRuntime().kernelSources();
for (const mutant of mutantsOf(sources, process.argv[2] ?? '')) {
  const place = `${mutant.file}:${mutant.line}`;
  const by = await noticed(mutant);
  const isExcused = excused.includes(`\`${mutant.file}\``);
  console.log(`${place}: ${by ?? (isExcused ? 'not shown here, see docs/barriers.md' : 'NOT NOTICED')}`);
  if (by === undefined && !isExcused) process.exitCode = 1;
}
