/**
 * What kernels need to know of a device, decided once when it is opened: what it is, how large workgroups are, which forms
 * of kernels are its first choice. What was measured on it, or what a test wants, is in choices.ts.
 */
import type { AttentionVariant, RowVariant } from './choices.ts';

/** Whose choices to make: those of the adapter itself, or a GPU's on whatever adapter there is (PREFGRAD_PROFILE). */
export type ProfileChoice = 'auto' | 'gpu';

/** A product of matrices that a subgroup makes in one instruction: f16 [M, K] x f16 [K, N] + f32 [M, N]. */
export interface MatrixShape {
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

export interface DeviceProfile {
  /** Software adapters (lavapipe, SwiftShader) are CPUs: barriers are expensive there, and there is no device memory. */
  readonly kind: 'cpu' | 'gpu';
  /** Whose forms of kernels are chosen; differs from `kind` only where a GPU's are asked for. */
  readonly kernels: 'cpu' | 'gpu';
  /** Invocations of a workgroup, for kernels without shared memory. */
  readonly workgroup: number;
  /** Invocations that every subgroup has at least; 0 where kernels may not use subgroups. */
  readonly subgroupSize: number;
  /**
   * Whether kernels share what 8 lanes of a subgroup loaded: on CPU adapters, where one load of 8 lanes is 8 scalar ones.
   */
  readonly sharesLoads: boolean;
  /** The form of kernels that add up rows. */
  readonly rows: RowVariant;
  /** The form of attention where its bindings allow it, else 'plain'. */
  readonly attention: AttentionVariant;
  /** Whether gradients of small weights are made of several partial sums over tokens, to keep the device busy. */
  readonly splitsK: boolean;
  /** Largest head dimension whose loops are unrolled: CPU adapters take seconds to minutes to compile longer ones. */
  readonly unrolledHeadDim: number;
  /** Whether loops of tiled attention stay loops, for the same reason. */
  readonly rollsTiles: boolean;
  /** Most logits that exist at once. */
  readonly logitChunk: { readonly rows: number; readonly columns: number };
  /** Shape of the matrices that subgroups multiply, and the size of those subgroups; undefined where they cannot. */
  readonly matrices: (MatrixShape & { readonly subgroupSize: number }) | undefined;
}

/** What of an adapter the profile is made of. */
export interface AdapterFacts {
  readonly info: GPUAdapterInfo;
  readonly features: Pick<GPUSupportedFeatures, 'has'>;
}

/** Whether an adapter is software. One rule for everything that asks. */
export function isSoftware({ vendor, architecture, device, description }: GPUAdapterInfo): boolean {
  return /llvmpipe|swiftshader|software|\bcpu\b/i.test(`${vendor} ${architecture} ${device} ${description}`);
}

export function profileOf({ info, features }: AdapterFacts, choice: ProfileChoice = 'auto'): DeviceProfile {
  const kind = isSoftware(info) ? 'cpu' : 'gpu';
  const kernels = choice === 'auto' ? kind : choice;
  const onGpu = kernels === 'gpu';
  const subgroupSize = features.has('subgroups') ? (info.subgroupMinSize ?? 0) : 0;
  const sharesLoads = !onGpu && subgroupSize >= 8;
  return {
    kind,
    kernels,
    // A CPU adapter spends about 0.1 us on each workgroup, whatever it does: larger ones, then, as long as all cores get some.
    workgroup: onGpu ? 64 : 128,
    subgroupSize,
    sharesLoads,
    rows: onGpu ? 'workgroup' : 'invocation',
    attention: onGpu ? 'tiled' : sharesLoads ? 'subgroup' : 'plain',
    splitsK: onGpu,
    unrolledHeadDim: kind === 'cpu' ? 16 : 256,
    rollsTiles: kind === 'cpu',
    logitChunk: kind === 'cpu' ? { rows: 1024, columns: 2048 } : { rows: 2048, columns: 8192 },
    matrices: matricesOf(info, features),
  };
}

/** Dawn's list of matrix shapes, which the standard types do not know yet. */
interface MatrixConfig extends MatrixShape {
  readonly componentType: string;
  readonly resultComponentType: string;
}

function matricesOf(info: GPUAdapterInfo, features: AdapterFacts['features']): DeviceProfile['matrices'] {
  const { subgroupMatrixConfigs } = info as { subgroupMatrixConfigs?: Iterable<MatrixConfig> };
  const isUsable =
    features.has('chromium-experimental-subgroup-matrix') &&
    features.has('shader-f16') &&
    info.subgroupMinSize === 32 &&
    info.subgroupMaxSize === 32;
  if (!isUsable) return undefined;
  const found = [...(subgroupMatrixConfigs ?? [])].find(
    ({ componentType, resultComponentType, M, N, K }) =>
      componentType === 'f16' && resultComponentType === 'f32' && M === 16 && N === 16 && K === 16,
  );
  return found && { M: found.M, N: found.N, K: found.K, subgroupSize: info.subgroupMinSize };
}
