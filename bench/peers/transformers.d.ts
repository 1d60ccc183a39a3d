/** Types of transformers.js, whose library is installed apart from prefgrad's. */

export interface TextPeer {
  readonly name: string;
  /** Continues prompts of one length greedily; texts do not end early. */
  generate(prompts: readonly (readonly number[])[], newTokens: number): Promise<number[][]>;
}

/** @param folder what bench/peers/export_onnx.py wrote */
export function transformers(folder: string): Promise<TextPeer>;
