/** The model that writes answers, from the command line's options. */
import type { LlmClient } from '../../llm/client.ts';
import type { CompletionModel } from '../../preferences/completion-model.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { openEndpoint } from './open-endpoint.ts';
import type { EndpointOptions } from './options.ts';

export interface OpenCompletionModel {
  readonly model: CompletionModel;
  /** For the settings file. */
  readonly name: string;
  /** The endpoint's client, which knows what was spent. */
  readonly client: LlmClient | undefined;
  close(): Promise<void>;
}

/** @throws InputError for options that are wrong or incomplete */
export async function openCompletionModel(
  runtime: Runtime,
  options: EndpointOptions,
): Promise<OpenCompletionModel> {
  const client = await openEndpoint(runtime, options);
  return { model: client, name: client.settings.model, client, close: () => client.close() };
}
