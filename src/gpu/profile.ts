/**
 * What kernels need to know of a device, decided once when it is opened: what it is, how large workgroups are, which forms
 * of kernels are its first choice. What was measured on it, or what a test wants, is in choices.ts.
 */
import { isSoftware } from '../runtime/software-adapter.ts';
import type { AttentionVariant, RowVariant } from './choices.ts';

/** Whose choices to make: those of the adapter itself, or a GPU's on whatever adapter there is (PREFGRAD_PROFILE). */
export type ProfileChoice = 'auto' | 'gpu';

/** A product of matrices that a subgroup makes in one instruction: f16 [M, K] x f16 [K, N] + f32 [M, N]. */
export interface MatrixShape {
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

/** How kernels use such products. */
export interface MatrixProfile extends MatrixShape {
  readonly subgroupSize: number;
  /** Matrices of the result along each side of what one subgroup keeps; CPU adapters take minutes to compile 4 x 4. */
  readonly block: 2 | 4;
}

export interface DeviceProfile {
  /** Software adapters (lavapipe, SwiftShader) are CPUs: barriers are expensive there, and there is no device memory. */
  readonly kind: 'cpu' | 'gpu';
  /** Whose forms of kernels are chosen; differs from `kind` only where a GPU's are asked for. */
  readonly kernels: 'cpu' | 'gpu';
  /** Invocations of a workgroup, for kernels without shared memory. */
  readonly workgroup: number;
  /** Of kernels that only stream through memory: invocations of a workgroup, and elements or vec4s that each takes. */
  readonly stream: { readonly workgroup: number; readonly each: number };
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
  /** Whether loops over tiles in shared memory stay loops, for the same reason. */
  readonly rollsTiles: boolean;
  /** Most logits that exist at once. */
  readonly logitChunk: { readonly rows: number; readonly columns: number };
  /** Whether products on tensor cores have a pipeline to every shape of a weight; compiling one takes CPU adapters seconds. */
  readonly sizesMatrices: boolean;
  /** Undefined where subgroups cannot multiply matrices. */
  readonly matrices: MatrixProfile | undefined;
}

/**
 * What of an adapter the profile is made of.
 * @internal
 */
export interface AdapterFacts {
  readonly info: GPUAdapterInfo;
  readonly features: Pick<GPUSupportedFeatures, 'has'>;
}

/** @internal */
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
    stream: onGpu ? { workgroup: 256, each: 4 } : { workgroup: 128, each: 1 },
    subgroupSize,
    sharesLoads,
    rows: onGpu ? 'workgroup' : sharesLoads ? 'subgroup' : 'invocation',
    attention: onGpu ? 'tiled' : sharesLoads ? 'subgroup' : 'plain',
    splitsK: onGpu,
    unrolledHeadDim: kind === 'cpu' ? 16 : 256,
    rollsTiles: kind === 'cpu',
    logitChunk: kind === 'cpu' ? { rows: 1024, columns: 2048 } : { rows: 2048, columns: 8192 },
    sizesMatrices: kind === 'gpu',
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
  const { subgroupMinSize: size, subgroupMaxSize } = info;
  // Kernels are written for subgroups whose size is known.
  const isUsable =
    features.has('chromium-experimental-subgroup-matrix') &&
    features.has('shader-f16') &&
    size === subgroupMaxSize;
  if (!isUsable || size === undefined) return undefined;
  const shapes = [...(subgroupMatrixConfigs ?? [])].filter(
    ({ componentType, resultComponentType, M, N, K }) =>
      componentType === 'f16' &&
      resultComponentType === 'f32' &&
      [M, N, K].every((edge) => edge <= 16 && edge % 8 === 0),
  );
  const [largest] = shapes.sort((a, b) => b.M * b.N * b.K - a.M * a.N * a.K);
  return (
    largest && {
      M: largest.M,
      N: largest.N,
      K: largest.K,
      subgroupSize: size,
      block: isSoftware(info) ? 2 : 4,
    }
  );
}
