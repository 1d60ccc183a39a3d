/**
 * npm run bench -- tiles: counts, not measurements. What tiles of linear_matrices.wgsl cost on one slab of the sum: shared memory, bank
 * conflicts, registers, instructions, and FLOPs for each byte that is moved.
 *
 * Shared memory is modelled as 32 banks of 4 bytes: an access takes as many passes as the busiest bank has different words to
 * serve. A subgroup loads 8 lines of 16 bytes of a matrix at once, as NVIDIA's ldmatrix does.
 */
import type { MatrixProfile } from '../src/gpu/index.ts';
import { GROUP, MATRIX_FORMS, type MatrixTile, type Orientation, tileOf } from '../src/ops/index.ts';

const BANKS = 32;
const WORD = 4;

/** Passes that shared memory takes for accesses of `bytes` at each of `addresses`, in bytes. */
export function passes(addresses: readonly number[], bytes: number): number {
  const banks = Array.from({ length: BANKS }, () => new Set<number>());
  for (const address of addresses)
    for (let word = Math.floor(address / WORD); word * WORD < address + bytes; word++)
      banks[word % BANKS].add(word);
  return Math.max(...banks.map(({ size }) => size));
}

/** An operand in shared memory: lines of f16 in the order of memory, and the elements from one to the next. */
export interface Staged {
  readonly lines: number;
  readonly length: number;
  readonly stride: number;
}

export interface StagedPair {
  readonly own: Staged;
  readonly other: Staged;
}

/** How the kernel stages both: along the depth where it runs so in memory, else a line to each step of the sum. */
export function stagedPair(tile: MatrixTile, orientation: Orientation): StagedPair {
  const { rows, columns, depth, padding } = tile;
  const staged = (lines: number, length: number) => ({ lines, length, stride: length + padding });
  return {
    own: orientation === 'WEIGHT' ? staged(depth, rows) : staged(rows, depth),
    other: orientation === 'FORWARD' ? staged(columns, depth) : staged(depth, columns),
  };
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, n) => total + n, 0);
const range = (count: number) => Array.from({ length: count }, (_, i) => i);

/**
 * Passes to store an operand, over those that its bytes need at least: each subgroup stores a vec4 to a lane, as four stores of 2
 * bytes ('apart', as it is written) or in one of 8 ('merged', if the compiler sees that it may).
 */
export function storePasses(
  { lines, length, stride }: Staged,
  subgroupSize: number,
  how: 'apart' | 'merged',
) {
  const vec4s = (lines * length) / 4;
  const placeOf = (i: number) => Math.floor((4 * i) / length) * stride + ((4 * i) % length);
  const stores = range(vec4s / subgroupSize).map((n) => {
    const places = range(subgroupSize).map((lane) => 2 * placeOf(n * subgroupSize + lane));
    if (how === 'merged') return passes(places, 8);
    return sum(
      range(4).map((j) =>
        passes(
          places.map((place) => place + 2 * j),
          2,
        ),
      ),
    );
  });
  return sum(stores) / ((2 * lines * length) / (BANKS * WORD));
}

/** Passes to load 8 lines of 16 bytes, which need one at least. */
export function loadPasses({ stride }: Staged): number {
  return passes(
    range(8).map((line) => 2 * line * stride),
    16,
  );
}

/** Passes of shared memory for one slab of x wᵀ: both operands are stored once, and each subgroup loads its part of them. */
export function slabPasses(matrices: MatrixProfile, tile: MatrixTile, how: 'apart' | 'merged'): number {
  const { M, N, subgroupSize } = matrices;
  const { block } = tile;
  const { own, other } = stagedPair(tile, 'FORWARD');
  const least = (elements: number) => (2 * elements) / (BANKS * WORD);
  const stored = [own, other].map(
    (staged) => least(staged.lines * staged.length) * storePasses(staged, subgroupSize, how),
  );
  const subgroups = tile.invocations / subgroupSize;
  const loaded = subgroups * least(block * (M + N) * tile.depth) * loadPasses(own);
  return sum(stored) + loaded;
}

/** f32 and packed f16 of an invocation: sums, the matrices that it multiplies, and what it has in hand of the next slab. */
export function registersOf({ M, N, K, subgroupSize }: MatrixProfile, { ahead, block }: MatrixTile): number {
  const sums = (block * block * M * N) / subgroupSize;
  const operands = (block * M * K + N * K) / 2 / subgroupSize;
  return sums + operands + 2 * (ahead.own + ahead.other);
}

/** Bytes of an element in memory; a gradient of a weight is made of two f32 operands. */
const BYTES = { FORWARD: { own: 4, other: 2 }, INPUT: { own: 4, other: 2 }, WEIGHT: { own: 4, other: 4 } };

/** FLOPs of a tile for each byte that it loads from global memory: 2 rows columns / (rows bytes + columns bytes). */
export function globalIntensity({ rows, columns }: MatrixTile, orientation: Orientation): number {
  const { own, other } = BYTES[orientation];
  return (2 * rows * columns) / (rows * own + columns * other);
}

/** FLOPs of a subgroup for each byte that it loads from shared memory. */
export function sharedIntensity({ M, N }: MatrixProfile, { block }: MatrixTile): number {
  return (2 * block * M * block * N) / (2 * (block * M + block * N));
}

/** What an invocation issues for one slab; loads and products of matrices are those of its subgroup. */
export function instructionsOf({ K }: MatrixProfile, tile: MatrixTile) {
  const { block } = tile;
  const vec4s = ((tile.rows + tile.columns) * tile.depth) / 4 / tile.invocations;
  const steps = tile.depth / K;
  return { loads: vec4s, stores: 4 * vec4s, matrixLoads: steps * 2 * block, products: steps * block * block };
}

/** Row and column blocks that the first `count` workgroups of a result touch, walked in groups of `group` row blocks (block_of). */
export function blocksTouched(count: number, rowBlocks: number, columnBlocks: number, group: number) {
  const [rows, columns] = [new Set<number>(), new Set<number>()];
  for (let i = 0; i < count; i++) {
    const first = Math.floor(i / (group * columnBlocks)) * group;
    const height = Math.min(group, rowBlocks - first);
    const within = i % (group * columnBlocks);
    rows.add(first + (within % height));
    columns.add(Math.floor(within / height));
  }
  return { rows: rows.size, columns: columns.size };
}

/** Workgroups that make a result of `rows` x `columns`, and the share of what they multiply that lies inside it. */
export function useOf({ rows: tileRows, columns: tileColumns }: MatrixTile, rows: number, columns: number) {
  const workgroups = Math.ceil(rows / tileRows) * Math.ceil(columns / tileColumns);
  return { workgroups, used: (rows * columns) / (workgroups * tileRows * tileColumns) };
}

/** Results of a LoRA step of 2048 tokens: A of q, k and v one after the other, rank 16, and the gradients of pairs. */
const NARROW = [
  ['x Aᵀ, three A', 2048, 48],
  ['dy B', 2048, 16],
  ['dlᵀ x, three A', 48, 2048],
  ['dyᵀ l', 2048, 16],
] as const;

const ADAPTERS: Readonly<Record<string, MatrixProfile & { readonly kilobytes: number }>> = {
  NVIDIA: { M: 16, N: 16, K: 16, subgroupSize: 32, block: 4, kilobytes: 48 },
  Apple: { M: 8, N: 8, K: 8, subgroupSize: 32, block: 4, kilobytes: 32 },
};
const ORIENTATIONS = ['FORWARD', 'INPUT', 'WEIGHT'] as const;

/** What workgroups share is shown for this result, [tokens, columns], and as many of them as an H100 has multiprocessors. */
const PRODUCT = [16384, 8192] as const;
const RESIDENT = 132;

function rowsFor(matrices: MatrixProfile & { readonly kilobytes: number }): string[][] {
  return Object.entries(MATRIX_FORMS).flatMap(([name, form]) =>
    [16, 32]
      .filter((depth) => form.depths.includes(depth))
      .map((depth) => {
        const tile = tileOf(matrices, form, depth);
        const pairs = ORIENTATIONS.map((orientation) => stagedPair(tile, orientation));
        const worst = (of: (staged: Staged) => number) =>
          Math.max(...pairs.flatMap(({ own, other }) => [of(own), of(other)])).toFixed(1);
        const bare = stagedPair(tileOf(matrices, form, depth, 0), 'FORWARD');
        const { loads, stores, matrixLoads, products } = instructionsOf(matrices, tile);
        const flops = 2 * tile.rows * tile.columns * depth;
        const blocks = [PRODUCT[0] / tile.rows, PRODUCT[1] / tile.columns] as const;
        const touched = [blocks[0], GROUP].map((group) => {
          const { rows, columns } = blocksTouched(RESIDENT, ...blocks, group);
          return rows * tile.rows + columns * tile.columns;
        });
        return [
          name,
          `${tile.rows} x ${tile.columns} x ${depth}`,
          `${(tile.bytes / 1024).toFixed(0)}${tile.bytes > 1024 * matrices.kilobytes ? ', too much' : ''}`,
          String(registersOf(matrices, tile)),
          worst((staged) => storePasses(staged, matrices.subgroupSize, 'apart')),
          worst((staged) => storePasses(staged, matrices.subgroupSize, 'merged')),
          `${worst(loadPasses)} (${loadPasses(bare.own)})`,
          [loads, stores, matrixLoads, products].join(', '),
          ORIENTATIONS.map((orientation) => globalIntensity(tile, orientation).toFixed(0)).join(', '),
          sharedIntensity(matrices, tile).toFixed(0),
          (['apart', 'merged'] as const)
            .map((how) => (flops / slabPasses(matrices, tile, how)).toFixed(0))
            .join(', '),
          touched.join(', '),
        ];
      }),
  );
}

/** Prints the tables. */
export function benchTiles(): void {
  console.log(
    'COUNTED, nothing here was measured. One slab of the sum of linear_matrices.wgsl; banks and loads of matrices as NVIDIA has them.',
  );
  console.log(
    `Passes: over the fewest that the bytes need, in the worst orientation. Operand rows: of both, that the first ${RESIDENT} ` +
      `workgroups of a result [${PRODUCT.join(', ')}] touch, walked down columns of blocks or in groups of ${GROUP} row blocks.\n`,
  );
  for (const [adapter, matrices] of Object.entries(ADAPTERS)) {
    const { M, N, K, subgroupSize, kilobytes } = matrices;
    console.log(
      `${adapter}: matrices of ${M} x ${N} x ${K}, subgroups of ${subgroupSize}, ${kilobytes} KiB of shared memory\n`,
    );
    const head = [
      'variant',
      'tile',
      'KiB',
      'registers',
      'passes to store, apart',
      'merged',
      'passes to load (unpadded)',
      'vec4 loads, stores, matrix loads, products',
      'FLOP/B of memory: x wᵀ, dy w, dyᵀ x',
      'of shared memory',
      'FLOP a pass, apart, merged',
      'operand rows, by columns and by groups',
    ];
    const lines = [head, head.map((_, i) => (i < 2 ? '---' : '---:')), ...rowsFor(matrices)];
    printTable(lines);
    const forms = Object.entries(MATRIX_FORMS);
    printTable([
      ['result of LoRA', 'rows x columns', ...forms.map(([name]) => `${name}: workgroups, share used`)],
      ['---', ...['', ...forms].map(() => '---:')],
      ...NARROW.map(([name, rows, columns]) => [
        name,
        `${rows} x ${columns}`,
        ...forms.map(([, form]) => {
          const { workgroups, used } = useOf(tileOf(matrices, form, 16), rows, columns);
          return `${workgroups}, ${(100 * used).toFixed(0)}%`;
        }),
      ]),
    ]);
  }
}

function printTable(lines: readonly (readonly string[])[]): void {
  console.log(`${lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}\n`);
}
