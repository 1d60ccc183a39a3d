/** Greedy text by transformers.js on onnxruntime-node, from a folder that export_onnx.py wrote. */
import { basename, dirname } from 'node:path';

export async function transformers(folder) {
  const { AutoModelForCausalLM, env, Tensor } = await import('@huggingface/transformers');
  env.allowRemoteModels = false;
  env.localModelPath = `${dirname(folder)}/`;
  const model = await AutoModelForCausalLM.from_pretrained(basename(folder), { dtype: 'fp32', device: 'cpu' });
  return {
    name: 'transformers.js',
    async generate(prompts, newTokens) {
      const shape = [prompts.length, prompts[0].length];
      const words = (value) => new Tensor('int64', BigInt64Array.from(prompts.flat(), value), shape);
      const output = await model.generate({
        inputs: words((id) => BigInt(id)),
        attention_mask: words(() => 1n),
        max_new_tokens: newTokens,
        do_sample: false,
        eos_token_id: [],
      });
      return output.tolist().map((row) => row.slice(shape[1]).map(Number));
    },
  };
}
