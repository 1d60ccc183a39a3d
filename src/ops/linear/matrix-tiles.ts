/** The forms of linear_matrices.wgsl: how large a tile of the result a workgroup makes, and how it stages operands. */
import { MATRIX_VARIANTS, type MatrixVariant } from '../../gpu/choices.ts';
import type { Gpu } from '../../gpu/device.ts';
import type { DeviceProfile, MatrixProfile } from '../../gpu/profile.ts';

export interface MatrixForm {
  /** Of a workgroup, two to a row of them. */
  readonly subgroups: 4 | 8;
  /** Of each operand in shared memory; with two, one is filled from registers while the other is multiplied. */
  readonly buffers: 1 | 2;
  /** Matrices along each side of what a subgroup makes: those of the adapter's profile, or half of them. */
  readonly block: 'whole' | 'half';
  /** Of a slab, the first that fits. Matrices of 8 steps take slabs of 16 in every form. */
  readonly depths: readonly number[];
}

const DEEP = [32, 16];

export const MATRIX_FORMS: Readonly<Record<MatrixVariant, MatrixForm>> = {
  matrices: { subgroups: 4, buffers: 1, block: 'whole', depths: DEEP },
  matrices_pipelined: { subgroups: 4, buffers: 2, block: 'whole', depths: DEEP },
  matrices_shallow: { subgroups: 4, buffers: 2, block: 'whole', depths: [16] },
  matrices_wide: { subgroups: 8, buffers: 2, block: 'whole', depths: DEEP },
  matrices_narrow: { subgroups: 4, buffers: 2, block: 'half', depths: DEEP },
};

/** A tile of `rows` x `columns` of the result, `depth` steps of the sum at a time. */
export interface MatrixTile {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly padding: number;
  readonly invocations: number;
  /** Matrices along each side of what a subgroup makes. */
  readonly block: number;
  /** vec4s of each operand that an invocation has in registers, ahead of the slab that is multiplied. */
  readonly ahead: { readonly own: number; readonly other: number };
  /** Matrices side by side in the strips in which results leave. */
  readonly strip: number;
  /** Of shared memory, in the orientation that pads most rows (FORWARD). */
  readonly bytes: number;
}

/** Elements between the rows of a staged operand, so that those of one matrix lie in different banks (npm run bench -- tiles). */
const PADDING = 8;

/** Row blocks of a group, in which workgroups walk the result. */
export const GROUP = 8;

export function tileOf(
  matrices: MatrixProfile,
  { subgroups, buffers, block: side }: MatrixForm,
  depth: number,
  padding = PADDING,
): MatrixTile {
  const { M, N, subgroupSize } = matrices;
  const block = side === 'whole' ? matrices.block : matrices.block / 2;
  const rows = (subgroups / 2) * block * M;
  const columns = 2 * block * N;
  const invocations = subgroups * subgroupSize;
  const held = (edge: number) => (buffers === 2 ? (edge * depth) / 4 / invocations : 0);
  // Two buffers leave less room for results.
  const strip = buffers === 2 ? 1 : block;
  const staged = 2 * buffers * (rows + columns) * (depth + padding);
  const results = 4 * subgroups * M * strip * N;
  const ahead = { own: held(rows), other: held(columns) };
  return { rows, columns, depth, padding, invocations, block, ahead, strip, bytes: staged + results };
}

/** The limits that a tile has to respect. */
export type TileLimits = Pick<
  GPUSupportedLimits,
  'maxComputeWorkgroupStorageSize' | 'maxComputeInvocationsPerWorkgroup' | 'maxComputeWorkgroupSizeX'
>;

/** The deepest tile of a form that fits on a device; undefined where none does. */
export function deepestTile(
  matrices: MatrixProfile,
  form: MatrixForm,
  limits: TileLimits,
): MatrixTile | undefined {
  const depths = matrices.K === 16 ? form.depths : [16];
  const most = Math.min(limits.maxComputeInvocationsPerWorkgroup, limits.maxComputeWorkgroupSizeX);
  return depths
    .map((depth) => tileOf(matrices, form, depth))
    .find(
      ({ bytes, invocations, ahead }) =>
        bytes <= limits.maxComputeWorkgroupStorageSize &&
        invocations <= most &&
        Number.isInteger(ahead.own) &&
        Number.isInteger(ahead.other),
    );
}

/** What of a device the choice depends on. */
interface MatrixDevice {
  readonly profile: Pick<DeviceProfile, 'matrices'>;
  readonly device: { readonly limits: TileLimits };
}

/**
 * The forms that fit on a device and differ there, the best guess first; none where it multiplies no matrices.
 * @param edge rows or columns of the result, whichever are fewer: most of a large tile would idle on a few
 */
export function matrixVariants(
  { profile, device }: MatrixDevice,
  edge = Number.POSITIVE_INFINITY,
): MatrixVariant[] {
  const { matrices } = profile;
  if (matrices === undefined) return [];
  const tiles = MATRIX_VARIANTS.map((variant) => ({
    variant,
    tile: deepestTile(matrices, MATRIX_FORMS[variant], device.limits),
  }));
  const pipelined = tiles.find(({ variant }) => variant === 'matrices_pipelined')?.tile;
  const fitting = tiles.flatMap(({ variant, tile }) =>
    tile === undefined || (variant === 'matrices_shallow' && tile.depth === pipelined?.depth)
      ? []
      : [{ variant, tile }],
  );
  const isNarrow = ({ variant, tile }: (typeof fitting)[number]) =>
    MATRIX_FORMS[variant].block === 'half' && edge <= Math.min(tile.rows, tile.columns);
  return fitting.sort((a, b) => Number(isNarrow(b)) - Number(isNarrow(a))).map(({ variant }) => variant);
}

/** The tile of a form and the constants that the kernel takes for it. */
export function matrixLaunch({ profile, device }: Gpu, variant: MatrixVariant) {
  const { matrices } = profile;
  const form = MATRIX_FORMS[variant];
  const tile = matrices && deepestTile(matrices, form, device.limits);
  if (matrices === undefined || tile === undefined)
    throw new RangeError(`This device does not run ${variant}.`);
  return { tile, constants: matrixConstants(matrices, form, tile) };
}

/** @internal */
export function matrixConstants(matrices: MatrixProfile, form: MatrixForm, tile: MatrixTile) {
  const { M, N, K, subgroupSize } = matrices;
  return {
    BLOCK_SIDE: tile.block,
    BUFFERS: form.buffers,
    DEPTH: tile.depth,
    GROUP,
    MATRIX_K: K,
    MATRIX_M: M,
    MATRIX_N: N,
    OTHER_AHEAD: tile.ahead.other,
    OWN_AHEAD: tile.ahead.own,
    PADDING: tile.padding,
    STRIPS: tile.block / tile.strip,
    STRIP_SIDE: tile.strip,
    SUBGROUP: subgroupSize,
    SUBGROUPS: form.subgroups,
  };
}
