/** An endpoint from the command line's options. */
import { YAMLParseError } from 'yaml';
import { InputError } from '../../errors.ts';
import { LlmClient } from '../../llm/client.ts';
import { type EndpointSettings, endpointSettings } from '../../llm/settings.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { parseYaml as readValues } from '../../yaml-values.ts';
import type { EndpointOptions } from './options.ts';

/** @throws InputError for settings that are wrong or incomplete */
export async function openEndpoint(runtime: Runtime, options: EndpointOptions): Promise<LlmClient> {
  const settings = await readEndpoint(runtime, options);
  if (options.maxCost !== undefined && settings.prices === undefined) {
    throw new InputError(
      '--max-cost needs prices: give --endpoint FILE.yaml with prices: {input: ..., output: ...} per million tokens.',
    );
  }
  const cache = options.cache ?? (await defaultCache(runtime));
  return new LlmClient({
    settings,
    files: runtime.files,
    cache,
    apiKey: process.env[settings.api_key_env] || undefined,
    limits: { maxCost: options.maxCost, maxTokens: options.maxTotalTokens },
  });
}

async function defaultCache(runtime: Runtime): Promise<string> {
  const directory = runtime.cacheDirectory();
  if (directory === undefined) throw new InputError('There is no cache directory here; give --cache DIR.');
  return `${directory}/llm`;
}

async function readEndpoint({ files }: Runtime, options: EndpointOptions): Promise<EndpointSettings> {
  const { endpoint } = options;
  if (endpoint === undefined)
    throw new InputError('Give --endpoint URL with --endpoint-model NAME, or --endpoint FILE.yaml.');
  const isFile = /\.ya?ml$/.test(endpoint);
  const values: unknown = isFile
    ? parseYaml(await files.readText(endpoint), endpoint)
    : { base_url: endpoint };
  const given = {
    ...(options.endpointModel === undefined ? {} : { model: options.endpointModel }),
    ...(options.apiKeyEnv === undefined ? {} : { api_key_env: options.apiKeyEnv }),
    ...(options.concurrency === undefined ? {} : { concurrency: options.concurrency }),
  };
  const result = endpointSettings.safeParse(typeof values === 'object' ? { ...values, ...given } : values);
  if (result.success) return result.data;
  const where = isFile ? endpoint : '--endpoint';
  const issues = result.error.issues.map(({ path, message }) =>
    path[0] === 'model' && !isFile
      ? 'give --endpoint-model NAME'
      : `${path.join('.') || 'top level'}: ${message}`,
  );
  throw new InputError(`${where}: ${issues.join('; ')}`);
}

function parseYaml(text: string, file: string): unknown {
  try {
    return readValues(text);
  } catch (error) {
    if (error instanceof YAMLParseError) throw new InputError(`${file}: ${error.message}`);
    throw error;
  }
}
