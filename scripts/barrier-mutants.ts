/**
 * npm run mutants: deletes every workgroupBarrier() of kernels/ in turn and runs the small works that need it, by the kernels
 * of GPUs, on the adapter at hand. A deletion whose numbers stay the same is listed, and a failure unless docs/barriers.md
 * gives the reason why no CPU adapter can show it; so is a reason for what is noticed.
 *
 *   npm run mutants [-- PART]     PART: of a kernel's path; default all that this adapter can run
 *
 * Kernels with subgroup matrices need an adapter that has them. Elsewhere LP_NATIVE_VECTOR_WIDTH=128 shows most: subgroups of
 * four split a workgroup into most parts. test/gpu/barriers.long.test.ts runs it both ways.
 */
import { readFileSync } from 'node:fs';
import { Gpu } from '../src/gpu/device.ts';
import { nodeRuntime } from '../src/runtime/node.ts';
import { type BarrierWork, barrierWorks } from '../test/conformance/barrier-works.ts';
import { expectClose } from '../test/support/close.ts';

const BARRIER = 'workgroupBarrier();';

interface Mutant {
  /** Without '.wgsl'. */
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  readonly sources: Record<string, string>;
}

function mutantsOf(sources: Record<string, string>, part: string): Mutant[] {
  return Object.entries(sources)
    .filter(([path]) => path.includes(part))
    .flatMap(([path, text]) =>
      [...text.matchAll(/workgroupBarrier\(\);/g)].map(({ index }) => {
        const mutated = text.slice(0, index) + text.slice(index + BARRIER.length);
        const line = text.slice(0, index).split('\n').length;
        return { file: path.slice(0, -'.wgsl'.length), line, sources: { ...sources, [path]: mutated } };
      }),
    );
}

async function openGpu(sources: Record<string, string>): Promise<Gpu> {
  const runtime = { ...nodeRuntime(), kernelSources: async () => sources };
  return Gpu.open(runtime, { profile: 'gpu' });
}

async function valuesOf(work: BarrierWork, sources: Record<string, string>) {
  const gpu = await openGpu(sources);
  try {
    return await work.run(gpu);
  } finally {
    gpu.close();
  }
}

/** The numbers of every work by the kernels as they are, made once. */
class Expected {
  readonly #sources: Record<string, string>;
  readonly #known = new Map<BarrierWork, Promise<readonly Float32Array[]>>();
  constructor(sources: Record<string, string>) {
    this.#sources = sources;
  }

  of(work: BarrierWork): Promise<readonly Float32Array[]> {
    const values = this.#known.get(work) ?? valuesOf(work, this.#sources);
    this.#known.set(work, values);
    return values;
  }
}

/** The works whose numbers change: one kernel may have a work for each of its forms. */
async function noticedBy(mutant: Mutant, expected: Expected): Promise<readonly string[]> {
  const names: string[] = [];
  for (const work of worksOf(mutant)) {
    const before = await expected.of(work);
    const after = await valuesOf(work, mutant.sources);
    try {
      before.forEach((values, i) => {
        expectClose(after[i], values, work.tolerance, work.name);
      });
    } catch {
      names.push(work.name);
    }
  }
  return names;
}

function worksOf({ file }: Mutant): readonly BarrierWork[] {
  return barrierWorks.filter(({ files }) => files.includes(file));
}

/** The bullets of docs/barriers.md: each begins with the file, and names the lines behind barriers of it. */
const proofs = readFileSync(new URL('../docs/barriers.md', import.meta.url), 'utf8')
  .split('\n* ')
  .slice(1);

/** How a barrier is listed there: by the line behind it, which other barriers of the file may share. */
function placeIn({ file, line, sources }: Mutant): { readonly file: string; readonly next: string } {
  return { file: `\`${file}.wgsl\``, next: `\`${sources[`${file}.wgsl`].split('\n')[line]?.trim() ?? ''}\`` };
}

function isProven(mutant: Mutant): boolean {
  const { file, next } = placeIn(mutant);
  return proofs.some((proof) => proof.startsWith(file) && proof.includes(next));
}

const sources = await nodeRuntime().kernelSources();
const probe = await openGpu(sources);
const hasMatrices = probe.profile.matrices !== undefined;
probe.close();
const expected = new Expected(sources);
let unproven = 0;
/** Whether any of the barriers that a line of docs/barriers.md is about needs its proof. */
const listed = new Map<string, boolean>();
for (const mutant of mutantsOf(sources, process.argv[2] ?? '')) {
  const place = `${mutant.file}.wgsl:${mutant.line}`;
  const works = worksOf(mutant);
  if (works.length === 0) throw new RangeError(`No work needs ${place}; add one to barrier-works.ts.`);
  if (works.some(({ needsMatrices }) => needsMatrices) !== hasMatrices) continue;
  const start = performance.now();
  const by = await noticedBy(mutant, expected);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  if (by.length === 0 && !isProven(mutant)) unproven++;
  if (isProven(mutant)) {
    const key = Object.values(placeIn(mutant)).join(', before ');
    listed.set(key, listed.get(key) === true || by.length === 0);
  }
  console.log(
    `${place}: ${by.join(', ') || (isProven(mutant) ? 'proven in docs/barriers.md' : 'NOT NOTICED')} (${seconds} s)`,
  );
}
if (unproven > 0) {
  console.error(`${unproven} barriers can be deleted without a work that notices.`);
  process.exitCode = 1;
}
const inVain = [...listed].filter(([, isNeeded]) => !isNeeded).map(([place]) => place);
if (inVain.length > 0) {
  console.error(`docs/barriers.md lists in vain, since a work notices: ${inVain.join('; ')}`);
  process.exitCode = 1;
}
