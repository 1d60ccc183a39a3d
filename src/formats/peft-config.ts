/** adapter_config.json of a PEFT LoRA adapter. */
import { InputError, InputErrors } from '../errors.ts';

export interface LoraConfig {
  readonly r: number;
  readonly alpha: number;
  /** Last parts of the adapted modules' names, such as 'q_proj', sorted. */
  readonly targetModules: readonly string[];
  /** Path or hub name of the model the adapter belongs to; '' when the file does not say. */
  readonly baseModel: string;
}

/** The fields and values that peft itself writes for a plain LoRA adapter. */
export function peftConfig(config: LoraConfig): Record<string, unknown> {
  return {
    alpha_pattern: {},
    auto_mapping: null,
    base_model_name_or_path: config.baseModel,
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    layer_replication: null,
    layers_pattern: null,
    layers_to_transform: null,
    loftq_config: {},
    lora_alpha: config.alpha,
    lora_dropout: 0.0,
    megatron_config: null,
    megatron_core: 'megatron.core',
    modules_to_save: null,
    peft_type: 'LORA',
    r: config.r,
    rank_pattern: {},
    revision: null,
    target_modules: [...config.targetModules].sort(),
    task_type: 'CAUSAL_LM',
    use_dora: false,
    use_rslora: false,
  };
}

/** Fields that do not change what a trained adapter computes. */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set([
  'auto_mapping',
  'base_model_name_or_path',
  'inference_mode',
  'lora_dropout',
  'megatron_core',
  'peft_version',
  'qalora_group_size',
  'revision',
  'lora_alpha',
  'r',
  // Which modules have weights is seen from the weights themselves; here it may also be a pattern.
  'target_modules',
  'exclude_modules',
]);

/** The one value that fields with a meaning of their own may have. */
const REQUIRED: Readonly<Record<string, readonly unknown[]>> = {
  peft_type: ['LORA'],
  task_type: ['CAUSAL_LM', null],
  bias: ['none'],
  // Any other name stands for a method that also changes the base model's weights.
  init_lora_weights: [true, false, 'gaussian'],
};

/**
 * r, alpha and base model of an adapter; the modules follow from its weights.
 * @throws InputErrors naming every option that we do not support: none is ignored
 */
export function parsePeftConfig(
  raw: Readonly<Record<string, unknown>>,
  path: string,
): Omit<LoraConfig, 'targetModules'> {
  const problems: string[] = [];
  for (const [key, value] of Object.entries(raw)) {
    const allowed = Object.hasOwn(REQUIRED, key) ? REQUIRED[key] : undefined;
    if (allowed !== undefined) {
      if (!allowed.includes(value))
        problems.push(
          `${key}: ${JSON.stringify(value)} is not supported, only ${JSON.stringify(allowed[0])}`,
        );
    } else if (!WITHOUT_EFFECT.has(key) && !isNeutral(value)) {
      problems.push(`${key}: ${JSON.stringify(value)} is not supported`);
    }
  }
  if (raw.peft_type === undefined) problems.push('peft_type: missing, expected "LORA"');
  const { r, lora_alpha: alpha, base_model_name_or_path: baseModel } = raw;
  if (typeof r !== 'number' || !Number.isInteger(r) || r < 1)
    problems.push(`r: ${JSON.stringify(r)} is no rank`);
  if (typeof alpha !== 'number' || !(alpha > 0 && Number.isFinite(Math.fround(alpha))))
    problems.push(`lora_alpha: ${JSON.stringify(alpha)} is not a positive number`);
  if (problems.length > 0) throw new InputErrors(`${path} describes an adapter we cannot read:`, problems);
  return { r: Number(r), alpha: Number(alpha), baseModel: typeof baseModel === 'string' ? baseModel : '' };
}

/** Switched off: false, null, or empty. */
function isNeutral(value: unknown): boolean {
  if (value === null || value === false || value === '') return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

/** 'model.layers.0.self_attn.q_proj' -> 'q_proj'. */
export function moduleKind(module: string): string {
  const kind = module.slice(module.lastIndexOf('.') + 1);
  if (kind === '') throw new InputError(`${JSON.stringify(module)} is no module name.`);
  return kind;
}
