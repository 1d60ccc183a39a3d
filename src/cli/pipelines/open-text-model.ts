/** The model that writes answers, from the command line's options. */
import type { LlmClient } from '../../llm/client.ts';
import type { TextModel } from '../../preferences/text-model.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { openEndpoint } from './open-endpoint.ts';
import type { EndpointOptions } from './options.ts';

export interface OpenTextModel {
  readonly model: TextModel;
  /** For the settings file. */
  readonly name: string;
  /** The endpoint's client, which knows what was spent. */
  readonly client: LlmClient | undefined;
  close(): Promise<void>;
}

/** @throws InputError for options that are wrong or incomplete */
export async function openTextModel(runtime: Runtime, options: EndpointOptions): Promise<OpenTextModel> {
  const client = await openEndpoint(runtime, options);
  return { model: client, name: client.settings.model, client, close: () => client.close() };
}
