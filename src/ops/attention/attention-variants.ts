/**
 * The three large kernels of attention, each in the form that the device profile prefers (src/gpu/choices.ts):
 * `plain` is the oracle, `subgroup` is for CPU adapters, `tiled` for GPUs. `matrices` is for tensor cores and models in 16 bits; no
 * profile prefers it before a GPU has run it. All take the same bindings; `subgroup` and, forward, `tiled` and `matrices` also
 * take the blocks of tokens that see alike.
 */
import { whole } from '../../autograd/tensor.ts';
import type { AttentionVariant } from '../../gpu/choices.ts';
import type { BindingsOf } from '../../gpu/launch.ts';
import { gridOf, type Recorder } from '../../gpu/program.ts';
import { gridFor, workgroupSize } from '../launch.ts';
import type { AttentionAttributes, AttentionShape } from './attention.ts';
import { fitsMatrices, matricesLaunch } from './attention-matrices.ts';

/** The factor on q . k. */
export function scoreScale({ scale, headDim }: AttentionShape): number {
  return scale ?? 1 / Math.sqrt(headDim);
}

/** Whether loops over a head stay loops; unrolled, the head is in registers. */
export function rolled({ gpu }: Recorder, headDim: number): boolean {
  return headDim > gpu.profile.unrolledHeadDim;
}

export function launchForward(
  recorder: Recorder,
  attributes: AttentionAttributes,
  bindings: BindingsOf<'attention_forward'>,
  isHalf = false,
): void {
  const variant = variantFor(recorder, attributes, Object.keys(bindings).length);
  const { blocks } = attributes.layout;
  // A tile begins with a block, or none does.
  const grid = gridOf(blocks.shape[0] * attributes.heads);
  if (variant === 'matrices') {
    recorder.launch({
      kernel: 'attention_forward_matrices',
      label: 'attention_forward',
      ...onMatrices(recorder, attributes, attributes.heads),
      conditions: { ...formOf(attributes), HALF: isHalf },
      bindings: { ...bindings, blocks: whole(blocks) },
      grid,
    });
    return;
  }
  const common = {
    label: 'attention_forward',
    ...commonOf(recorder, variant, attributes, attributes.heads),
    conditions: conditionsOf(recorder, variant, attributes),
  };
  if (variant === 'plain') {
    recorder.launch({ kernel: 'attention_forward', ...common, bindings });
    return;
  }
  const withBlocks = { ...common, bindings: { ...bindings, blocks: whole(blocks) }, grid };
  if (variant === 'subgroup') recorder.launch({ kernel: 'attention_forward_subgroup', ...withBlocks });
  else {
    const conditions = { ...withBlocks.conditions, HALF: isHalf };
    recorder.launch({ kernel: 'attention_forward_tiled', ...withBlocks, conditions });
  }
}

/** Whether the forward kernel can store its result as `half_input` does: those of GPUs. */
export function makesHalf(recorder: Recorder, attributes: AttentionAttributes): boolean {
  const variant = variantFor(recorder, attributes, 0);
  return variant === 'tiled' || variant === 'matrices';
}

export function launchBackwardQuery(
  recorder: Recorder,
  attributes: AttentionAttributes,
  bindings: BindingsOf<'attention_backward_query'>,
  accumulate: boolean,
): void {
  const variant = variantFor(recorder, attributes, Object.keys(bindings).length);
  if (variant === 'matrices') {
    const sizes = onMatrices(recorder, attributes, attributes.heads);
    const conditions = { ...formOf(attributes), ACCUMULATE: accumulate };
    recorder.launch({
      kernel: 'attention_backward_query_matrices',
      label: 'attention_backward_query',
      ...sizes,
      conditions,
      bindings,
    });
    return;
  }
  const common = {
    label: 'attention_backward_query',
    ...commonOf(recorder, variant, attributes, attributes.heads),
    conditions: { ...conditionsOf(recorder, variant, attributes), ACCUMULATE: accumulate },
  };
  if (variant === 'subgroup') {
    const blocks = whole(attributes.layout.blocks);
    recorder.launch({
      kernel: 'attention_backward_query_subgroup',
      ...common,
      bindings: { ...bindings, blocks },
    });
    return;
  }
  const kernel = variant === 'plain' ? 'attention_backward_query' : 'attention_backward_query_tiled';
  recorder.launch({ kernel, ...common, bindings });
}

export function launchBackwardKeyValue(
  recorder: Recorder,
  attributes: AttentionAttributes,
  bindings: BindingsOf<'attention_backward_key_value'>,
): void {
  const variant = variantFor(recorder, attributes, Object.keys(bindings).length);
  if (variant === 'matrices') {
    const sizes = onMatrices(recorder, attributes, attributes.kvHeads);
    const conditions = formOf(attributes);
    recorder.launch({
      kernel: 'attention_backward_key_value_matrices',
      label: 'attention_backward_key_value',
      ...sizes,
      conditions,
      bindings,
    });
    return;
  }
  const common = {
    label: 'attention_backward_key_value',
    ...commonOf(recorder, variant, attributes, attributes.kvHeads),
    conditions: conditionsOf(recorder, variant, attributes),
  };
  if (variant === 'subgroup') {
    const blocks = whole(attributes.layout.blocks);
    recorder.launch({
      kernel: 'attention_backward_key_value_subgroup',
      ...common,
      bindings: { ...bindings, blocks },
    });
    return;
  }
  const kernel = variant === 'plain' ? 'attention_backward_key_value' : 'attention_backward_key_value_tiled';
  recorder.launch({ kernel, ...common, bindings });
}

/** The form that is chosen for this device and shape. Sharing keys within a subgroup takes one binding more than some allow. */
function variantFor({ gpu }: Recorder, { headDim }: AttentionAttributes, bindings: number): AttentionVariant {
  const { choices, profile, device } = gpu;
  const wanted = choices.attention ?? profile.attention;
  const variant = wanted === 'matrices' && !fitsMatrices(gpu, headDim) ? profile.attention : wanted;
  const canShare = profile.sharesLoads && bindings < device.limits.maxStorageBuffersPerShaderStage;
  return variant === 'subgroup' && !canShare ? 'plain' : variant;
}

/** What of a shape changes the text of a kernel. */
function formOf({ window, softcap }: AttentionAttributes) {
  return { WINDOWED: window !== undefined, SOFTCAP: softcap !== undefined };
}

type ScalarVariant = Exclude<AttentionVariant, 'matrices'>;

function conditionsOf(recorder: Recorder, variant: ScalarVariant, attributes: AttentionAttributes) {
  const ROLLED = variant === 'tiled' ? recorder.gpu.profile.rollsTiles : rolled(recorder, attributes.headDim);
  return { ...formOf(attributes), ROLLED };
}

function overridesOf(attributes: AttentionAttributes) {
  const { heads, kvHeads, window, softcap } = attributes;
  return {
    HEADS: heads,
    KV_HEADS: kvHeads,
    SCALE: scoreScale(attributes),
    ...(window === undefined ? {} : { WINDOW: window }),
    ...(softcap === undefined ? {} : { CAP: softcap }),
  };
}

/** Queries or keys of a tile, and the invocations that work on it; attention_tile.wgsl. */
const TILE = { tokens: 32, workgroup: 64 } as const;

/** Sizes; `heads` are those that the result has. */
function commonOf(
  recorder: Recorder,
  variant: ScalarVariant,
  attributes: AttentionAttributes,
  heads: number,
) {
  const { headDim, layout } = attributes;
  const [tokens, blocks] = [layout.visibility.shape[0], layout.blocks.shape[0]];
  const { workgroup, grid } = {
    plain: { workgroup: workgroupSize(recorder), grid: gridFor(recorder, tokens * heads) },
    subgroup: { workgroup: recorder.gpu.profile.subgroupSize, grid: gridOf(blocks * heads) },
    tiled: { workgroup: TILE.workgroup, grid: gridOf(Math.ceil(tokens / TILE.tokens) * heads) },
  }[variant];
  return {
    constants: { HEAD4: headDim / 4, WORKGROUP: workgroup },
    overrides: overridesOf(attributes),
    grid,
  };
}

/** The same for kernels on tensor cores. */
function onMatrices({ gpu }: Recorder, attributes: AttentionAttributes, heads: number) {
  const { rows, constants } = matricesLaunch(gpu, attributes.headDim);
  const tokens = attributes.layout.visibility.shape[0];
  return { constants, overrides: overridesOf(attributes), grid: gridOf(Math.ceil(tokens / rows) * heads) };
}
