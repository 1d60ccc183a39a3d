import type { LoadOptions } from '../models/loading/load.ts';
import type { TrainConfig } from './config.ts';

/** How a configuration wants the model that it trains loaded. */
export function policyOptions({ model, lora, data, seed }: TrainConfig): LoadOptions {
  const train =
    lora === undefined
      ? ('full' as const)
      : { r: lora.r, alpha: lora.lora_alpha, targetModules: lora.target_modules };
  const quantize = model.load_in_4bit ? 'nf4' : model.load_in_8bit ? 'i8' : undefined;
  return { train, init: model.init, dtype: model.dtype, quantize, positions: data.max_length, seed };
}
