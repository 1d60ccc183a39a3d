/** `prefgrad bridge`. */
import { type Command, InvalidArgumentError } from 'commander';
import type { LlmClient } from '../llm/client.ts';
import type { Editor } from '../preferences/editors/editor.ts';
import type { ExactEdit } from '../preferences/editors/exact-editor.ts';
import type { Similarity } from '../preferences/similarity.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Cli } from './context.ts';
import { EXIT_CODES } from './failure.ts';
import { numberFrom, wholeNumber } from './options.ts';
import {
  addEndpointOptions,
  addRowOptions,
  type EndpointOptions,
  type RowOptions,
} from './pipelines/options.ts';

interface Options extends RowOptions, EndpointOptions {
  readonly editor: 'llm' | { readonly exact: string };
  readonly prompts: string;
  readonly degrade?: boolean;
  readonly proportion: number;
  readonly seed: number;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly embeddings?: string;
  readonly embeddingsModel?: string;
}

interface OpenEmbeddings {
  readonly similarity: Similarity;
  close(): Promise<void>;
}

export function addBridge(program: Command, cli: Cli): void {
  const command = program
    .command('bridge')
    .summary('edit the losing answers towards the winning ones (BMC)')
    .description(
      "BMC's Bridging Phase (Eq. 1): an editor changes the losing answer where it is worse, with the winning one as reference. " +
        'Rows keep prompt, chosen and rejected, and get chosen_bridged, so that DPO, DPO-BC, DPO-MC and DPO-BMC are choices of ' +
        'columns on the same rows. Edits that are no edits are tried once more, then dropped and listed.',
    );
  addEndpointOptions(addRowOptions(command))
    .option(
      '--editor <llm|exact:FILE.mjs>',
      'a language model, or a program that knows right from wrong',
      editor,
      'llm',
    )
    .option(
      '--prompts <NAME|FILE.yaml>',
      "the editor's prompt: qa-maths, instructions, or your own file",
      'qa-maths',
    )
    .option('--without-reference', 'keep the winning answer from the editor')
    .option('--degrade', 'edit the winning answer towards the losing one instead: rejected_degraded')
    .option(
      '--proportion <SHARE>',
      'edit this share of the pairs, leave the others as they are',
      numberFrom(0, 1),
      1,
    )
    .option('--seed <NUMBER>', 'draws these pairs', wholeNumber(0), 42)
    .option('--max-tokens <COUNT>', 'most tokens per edit', wholeNumber(1), 2048)
    .option('--temperature <NUMBER>', 'of the editor', numberFrom(0), 0)
    .option(
      '--embeddings <URL|FILE.yaml|DIR>',
      'report the similarity of answers and edits, by this endpoint or model directory',
    )
    .option('--embeddings-model <NAME>', "model's name there")
    .addHelpText(
      'after',
      `
Examples:
  prefgrad bridge --rows pairs.jsonl --endpoint gpt.yaml --dry-run --out bridged.jsonl
  prefgrad bridge --rows pairs.jsonl --endpoint gpt.yaml --max-cost 20 --out bridged.jsonl
  prefgrad train dpo-bmc.yaml --set data.train=bridged.jsonl --set data.columns.chosen=chosen_bridged

${EXIT_CODES}`,
    )
    .action(async (_: unknown, made: Command) => {
      const { withoutReference, ...options } = made.optsWithGlobals<
        Options & { withoutReference?: boolean }
      >();
      const { bridgeStep } = await import('../preferences/bridge.ts');
      const { openEndpoint } = await import('./pipelines/open-endpoint.ts');
      const { runStep } = await import('./pipelines/run-step.ts');
      const runtime = await cli.runtime();
      const direction = options.degrade ? 'degrade' : 'bridge';
      const withReference = withoutReference !== true;
      const client = options.editor === 'llm' ? await openEndpoint(runtime, options) : undefined;
      const embeddings = await openEmbeddings(runtime, options);
      try {
        const step = bridgeStep({
          editor: await openEditor(runtime, options, client, direction, withReference),
          direction,
          withReference,
          proportion: options.proportion,
          seed: options.seed,
          columns: options.column,
          similarity: embeddings?.similarity,
        });
        await runStep(cli, runtime, step, options, client);
      } finally {
        await client?.close();
        await embeddings?.close();
      }
    });
}

function editor(text: string): Options['editor'] {
  if (text === 'llm') return text;
  const file = /^exact:(.+)$/.exec(text)?.[1];
  if (file !== undefined) return { exact: file };
  throw new InvalidArgumentError('Expected llm or exact:FILE.mjs.');
}

async function openEditor(
  runtime: Runtime,
  options: Options,
  client: LlmClient | undefined,
  direction: 'bridge' | 'degrade',
  withReference: boolean,
): Promise<Editor> {
  if (options.editor !== 'llm' || client === undefined) {
    const { exactEditor } = await import('../preferences/editors/exact-editor.ts');
    const { loadFunction } = await import('./pipelines/user-module.ts');
    const file = options.editor === 'llm' ? '' : options.editor.exact;
    return exactEditor(file, await loadFunction<ExactEdit>(file, '(task) => string | null'));
  }
  const { llmEditor } = await import('../preferences/editors/llm-editor.ts');
  const { PromptFile } = await import('../preferences/prompt-file.ts');
  const { promptPath } = await import('./pipelines/prompt-path.ts');
  const name = ['qa-maths', 'instructions'].includes(options.prompts)
    ? `bridge-${options.prompts}`
    : options.prompts;
  return llmEditor({
    model: client,
    modelName: client.settings.model,
    prompts: await PromptFile.load(runtime.files, promptPath(name)),
    direction,
    withReference,
    maxTokens: options.maxTokens,
    temperature: options.temperature,
  });
}

/** Embeddings of an endpoint, or of a model directory. */
async function openEmbeddings(runtime: Runtime, options: Options): Promise<OpenEmbeddings | undefined> {
  const { embeddings, embeddingsModel: endpointModel, cache, device } = options;
  if (embeddings === undefined) return undefined;
  const { cosineSimilarity } = await import('../preferences/similarity.ts');
  if (await runtime.files.isDirectory(embeddings)) {
    const { openEmbedder } = await import('../preferences/local-embedder.ts');
    const embedder = await openEmbedder(runtime, embeddings, device);
    const name = `cosine of mean last hidden states of ${embeddings}`;
    return { similarity: cosineSimilarity(name, embedder.embed), close: embedder.close };
  }
  const { openEndpoint } = await import('./pipelines/open-endpoint.ts');
  const client = await openEndpoint(runtime, { endpoint: embeddings, endpointModel, cache });
  const name = `cosine of ${client.settings.model} embeddings`;
  return { similarity: cosineSimilarity(name, (texts) => client.embed(texts)), close: () => client.close() };
}
