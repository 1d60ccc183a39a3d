/** What TRL, PEFT, Axolotl, LLaMA-Factory, OpenRLHF and people in a hurry call our keys, for suggestions. */

const SYNONYMS: Readonly<Record<string, readonly string[]>> = {
  'model.path': ['model_name_or_path', 'base_model', 'model_name', 'model_id', 'pretrain', 'name_or_path'],
  'model.adapter': ['adapter_name_or_path', 'lora_model_dir', 'peft_model', 'adapter_path'],
  'model.dtype': ['torch_dtype', 'bf16', 'fp16', 'precision', 'compute_dtype', 'mixed_precision'],
  'model.load_in_4bit': ['quantization_bit', 'qlora'],
  'model.load_in_8bit': ['load_in_8bits'],
  lora: ['use_peft', 'peft', 'finetuning_type', 'peft_config'],
  'lora.r': ['lora_r', 'lora_rank', 'rank'],
  'lora.lora_alpha': ['alpha'],
  'lora.target_modules': ['lora_target', 'lora_target_modules', 'lora_target_linear', 'targets'],
  objective: ['loss_type', 'pref_loss', 'method', 'algorithm', 'rl', 'stage', 'loss', 'trainer_type'],
  'objective.settings.beta': ['beta', 'pref_beta', 'dpo_beta', 'rl_beta'],
  'reference.model': ['ref_model', 'reference_model', 'ref_model_name_or_path', 'ref_pretrain'],
  'reference.mode': ['precompute_ref_log_probs'],
  'data.train': ['dataset', 'datasets', 'dataset_name', 'train_file', 'train_dataset', 'train_data'],
  'data.eval': ['eval_dataset', 'test_datasets', 'eval_file', 'val', 'validation', 'eval_data', 'test'],
  'data.eval_fraction': ['val_size', 'test_size', 'val_set_size', 'validation_split'],
  'data.columns': ['column_mapping', 'field_mapping'],
  'data.chat_template': ['template'],
  'data.max_length': ['max_seq_length', 'sequence_len', 'cutoff_len', 'max_len', 'seq_length'],
  'data.max_prompt_length': ['prompt_max_len'],
  'data.truncation': ['truncation_mode', 'truncation_side'],
  'data.loss_on': ['train_on_inputs', 'completion_only_loss', 'assistant_only_loss', 'train_on_prompt'],
  'data.max_rows': ['max_samples', 'max_train_samples', 'num_samples', 'limit'],
  'training.learning_rate': ['lr', 'peak_lr'],
  'training.num_train_epochs': ['epochs', 'num_epochs', 'max_epochs', 'n_epochs'],
  'training.max_steps': ['steps', 'num_steps', 'total_steps', 'max_train_steps'],
  'training.per_device_train_batch_size': [
    'batch_size',
    'micro_batch_size',
    'train_batch_size',
    'micro_train_batch_size',
    'per_device_batch_size',
    'per_device_eval_batch_size',
    'bs',
  ],
  'training.gradient_accumulation_steps': ['gradient_accumulation', 'grad_accum', 'accumulation_steps'],
  'training.gradient_checkpointing': ['activation_checkpointing', 'recompute', 'gradient_checkpoint'],
  'training.packing': ['sample_packing', 'pack'],
  'training.lr_scheduler_type': ['scheduler', 'lr_scheduler', 'lr_schedule', 'schedule'],
  'training.warmup_ratio': ['warmup', 'warmup_fraction', 'lr_warmup_ratio', 'warm_up'],
  'training.warmup_steps': ['num_warmup_steps', 'lr_warmup_steps'],
  'training.optim': ['optimizer', 'optimiser', 'optimizer_name'],
  'training.weight_decay': ['wd', 'l2'],
  'training.max_grad_norm': ['grad_clip', 'gradient_clipping', 'clip_grad_norm', 'max_norm', 'grad_norm'],
  'training.logging_steps': ['log_every', 'log_steps', 'log_interval', 'logging_interval'],
  'training.eval_steps': [
    'eval_every',
    'eval_interval',
    'eval_strategy',
    'evaluation_strategy',
    'evals_per_epoch',
  ],
  'training.save_steps': ['save_every', 'save_interval', 'save_strategy', 'saves_per_epoch'],
  output_dir: ['output', 'out', 'save_path', 'out_dir', 'outdir', 'ckpt_path', 'save_dir'],
  seed: ['random_seed', 'data_seed', 'shuffle_seed'],
  device: ['gpu', 'gpus', 'cuda', 'devices', 'device_map'],
};

const OURS = new Map(Object.entries(SYNONYMS).flatMap(([ours, names]) => names.map((name) => [name, ours])));

/** Our keys without their group, as a flat configuration has them. */
const FLAT = new Map(Object.keys(SYNONYMS).map((ours) => [ours.replace(/^.*\./, ''), ours]));

/** Keys of others that are not needed here, and why. */
const NOT_NEEDED: Readonly<Record<string, string>> = {
  report_to: 'metrics.jsonl and TensorBoard events are always written to output_dir',
  use_wandb: 'metrics.jsonl and TensorBoard events are always written to output_dir',
  wandb_project: 'metrics.jsonl and TensorBoard events are always written to output_dir',
  resume_from_checkpoint: 'a run is continued with --resume on the command line',
  overwrite_output_dir: '--force on the command line replaces the run that is in output_dir',
  remove_unused_columns: 'columns that are not needed are left alone',
  flash_attention: 'attention is always computed in tiles',
  attn_implementation: 'attention is always computed in tiles',
  flash_attn: 'attention is always computed in tiles',
  deepspeed: 'mpirun starts a run on several GPUs; training.memory_budget makes it fit on one',
  fsdp: 'mpirun starts a run on several GPUs; training.memory_budget makes it fit on one',
  lora_dropout: 'the update is trained without dropout',
};

/** What to say about an unknown key at `path`; undefined where nobody else calls anything so. */
export function synonymHint(path: readonly (string | number)[]): string | undefined {
  const key = String(path.at(-1)).toLowerCase().replaceAll('-', '_');
  if (Object.hasOwn(NOT_NEEDED, key)) return `there is no such key, and none is needed: ${NOT_NEEDED[key]}`;
  const ours = OURS.get(key) ?? (path.length === 1 ? FLAT.get(key) : undefined);
  return ours === undefined || ours === path.join('.')
    ? undefined
    : `there is no such key; it is called ${ours} here`;
}
