/**
 * A launch of one of our kernels, by the names that its source uses: a condition, constant or binding that the kernel does
 * not have does not compile, nor does one that is left out.
 */
import { KERNELS } from './kernel-table.ts';
import type { Slice } from './memory.ts';

export type KernelName = keyof typeof KERNELS;

type Table<K extends KernelName> = (typeof KERNELS)[K];

/** A field that must be there when it has names, and must not when it has none. */
type Required<Field extends string, Names extends string, Value> = [Names] extends [never]
  ? { readonly [F in Field]?: Readonly<Record<never, never>> }
  : { readonly [F in Field]: Readonly<Record<Names, Value>> };

/** Conditions that a kernel branches on; what is not given is false. */
export type ConditionsOf<K extends KernelName> = Readonly<
  Partial<Record<Table<K>['conditions'][number], boolean>>
>;

/** Slices by binding. Those that only some conditions declare may be undefined. */
export type BindingsOf<K extends KernelName> = Readonly<Record<keyof Table<K>['bindings'], Slice>> &
  Readonly<Partial<Record<keyof Table<K>['optionalBindings'], Slice>>>;

type OptionalOverrides<K extends KernelName> = Readonly<
  Partial<Record<Table<K>['optionalOverrides'][number], number>>
>;

/** One launch of kernel K. A union of kernels is a union of launches. */
export type Launch<K extends KernelName = KernelName> = K extends KernelName
  ? {
      readonly kernel: K;
      /** What profiles show. Default: the kernel's name. */
      readonly label?: string;
      readonly conditions?: ConditionsOf<K>;
      readonly bindings: BindingsOf<K>;
      /** Workgroups in x and y; see `gridOf`. */
      readonly grid: readonly [number, number];
      /** Times that the grid is repeated; kernels know the repetition by z. Default 1. */
      readonly repeats?: number;
      /** Floating-point operations, where they and not memory decide; for rooflines. */
      readonly flops?: number;
    } & Required<'constants', Table<K>['constants'][number], number> &
      ([Table<K>['overrides'][number]] extends [never]
        ? { readonly overrides?: OptionalOverrides<K> }
        : {
            readonly overrides: Readonly<Record<Table<K>['overrides'][number], number>> &
              OptionalOverrides<K>;
          })
  : never;

interface KernelDeclaration {
  readonly conditions: readonly string[];
  readonly constants: readonly string[];
  readonly overrides: readonly string[];
  readonly optionalOverrides: readonly string[];
  readonly bindings: Readonly<Record<string, number>>;
  readonly optionalBindings: Readonly<Record<string, number>>;
}

/**
 * A kernel's bindings in the order of their numbers, undefined where a number is not used.
 * @throws RangeError for a name that the kernel does not have: types cannot see every one that comes in by a spread
 */
export function orderedBindings({
  kernel,
  conditions = {},
  constants = {},
  overrides = {},
  bindings,
}: {
  readonly kernel: KernelName;
  readonly conditions?: object;
  readonly constants?: object;
  readonly overrides?: object;
  readonly bindings: object;
}): (Slice | undefined)[] {
  const declared: KernelDeclaration = KERNELS[kernel];
  const numbers = { ...declared.bindings, ...declared.optionalBindings };
  const unknown = [
    ...Object.keys(conditions).filter((name) => !declared.conditions.includes(name)),
    ...Object.keys(constants).filter((name) => !declared.constants.includes(name)),
    ...Object.keys(overrides).filter(
      (name) => !declared.overrides.includes(name) && !declared.optionalOverrides.includes(name),
    ),
    ...Object.keys(bindings).filter((name) => !(name in numbers)),
  ];
  if (unknown.length > 0) throw new RangeError(`${kernel} has no ${unknown.join(', ')}.`);
  const ordered: (Slice | undefined)[] = [];
  for (const [name, slice] of Object.entries<Slice | undefined>(bindings as Record<string, Slice>))
    ordered[numbers[name]] = slice;
  return Array.from(ordered);
}
