/** The model that writes answers, from the command line's options. */
import type { Tokenizer } from '../../data/tokenizer.ts';
import { InputError } from '../../errors.ts';
import type { LlmClient } from '../../llm/client.ts';
import type { CompletionModel } from '../../preferences/completion-model.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { GlobalOptions } from '../context.ts';
import { openEndpoint } from './open-endpoint.ts';
import type { EndpointOptions, LocalModelOptions, RowOptions } from './options.ts';

export interface OpenCompletionModel {
  readonly model: CompletionModel;
  /** For the settings file. */
  readonly name: string;
  /** The endpoint's client, which knows what was spent; undefined for a model on this machine. */
  readonly client: LlmClient | undefined;
  /** Of a model on this machine. */
  readonly tokenizer: Tokenizer | undefined;
  close(): Promise<void>;
}

/** @throws InputError for options that are wrong or incomplete */
export async function openCompletionModel(
  runtime: Runtime,
  options: EndpointOptions & LocalModelOptions & GlobalOptions & Pick<RowOptions, 'dryRun'>,
): Promise<OpenCompletionModel> {
  if (options.model === undefined) {
    if (options.endpoint === undefined)
      throw new InputError('Give --model DIR, or --endpoint for a model elsewhere.');
    if (runtime.ranks.size > 1)
      throw new InputError(
        'An endpoint is asked by one process: start this without mpirun, with --concurrency.',
      );
    const client = await openEndpoint(runtime, options);
    return {
      model: client,
      name: client.settings.model,
      client,
      tokenizer: undefined,
      close: () => client.close(),
    };
  }
  if (options.endpoint !== undefined) throw new InputError('Give --model or --endpoint, not both.');
  if (options.dryRun)
    throw new InputError(
      '--dry-run estimates what an endpoint costs; a model on this machine costs nothing.',
    );
  const { openTextModel } = await import('../../generate/text-model.ts');
  const { localModel } = await import('../../preferences/local-model.ts');
  const { model: path, adapter, device, batchSize } = options;
  const opened = await openTextModel(runtime, { model: path, adapter, device, maxSequences: batchSize });
  const name = adapter === undefined ? path : `${path} with ${adapter}`;
  return {
    model: localModel(opened),
    name,
    client: undefined,
    tokenizer: opened.tokenizer,
    close: () => opened.close(),
  };
}
