/** A server over stories260K with a chat template, in this process, and OpenAI's own client for it. */
import OpenAI from 'openai';
import { loadTokenizer } from '../../src/data/load-tokenizer.ts';
import type { Tokenizer } from '../../src/data/tokenizer.ts';
import { Engine } from '../../src/generate/engine.ts';
import { loadModel } from '../../src/models/loading/load.ts';
import { MemoryFiles } from '../../src/runtime/memory-files.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import { type RunningServer, type ServeOptions, serve } from '../../src/serve/server.ts';
import { testGpu } from '../support/gpu.ts';

const STORIES = 'examples/stories260K';

/** What a chat template makes of messages: one line each, and the beginning of the answer. */
const TEMPLATE =
  "{{ bos_token }}{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}";

export interface TestServer extends RunningServer {
  readonly engine: Engine;
  readonly tokenizer: Tokenizer;
  readonly client: OpenAI;
  /** What went wrong on the server's side. */
  readonly log: string[];
  close(): Promise<void>;
}

export async function openServer(options: Partial<ServeOptions> = {}): Promise<TestServer> {
  const gpu = await testGpu();
  const loaded = await loadModel(gpu, STORIES, { train: 'none', dtype: 'f32', positions: 256 });
  const engine = new Engine(gpu, loaded.model, { maxSequences: 8, maxPositions: 256 });
  const tokenizer = options.tokenizer ?? (await withTemplate());
  const log: string[] = [];
  const running = await serve({
    name: 'stories',
    tokenizer,
    engine,
    host: '127.0.0.1',
    port: 0,
    maxRequests: 64,
    maxBodyBytes: 2 ** 20,
    timeout: 60_000,
    log: (line) => log.push(line),
    ...options,
  });
  const client = new OpenAI({
    baseURL: `${running.url}/v1`,
    apiKey: options.apiKey ?? 'none',
    maxRetries: 0,
    timeout: 60_000,
  });
  return {
    ...running,
    engine,
    tokenizer,
    client,
    log,
    async close() {
      await running.stop(5_000);
      await engine.close();
      loaded.free();
    },
  };
}

/** The tokenizer of stories260K, which knows no chats, with a template. */
async function withTemplate(): Promise<Tokenizer> {
  const files = new MemoryFiles();
  for (const name of ['config.json', 'tokenizer.json', 'tokenizer_config.json'])
    files.add(`m/${name}`, await nodeRuntime().files.readText(`${STORIES}/${name}`));
  files.add('m/chat_template.jinja', TEMPLATE);
  return loadTokenizer(files, 'm');
}
