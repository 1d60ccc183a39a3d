/** A rater from what the command line says: KIND:WHAT. */
import { InputError } from '../../errors.ts';
import type { LlmClient } from '../../llm/client.ts';
import type { Rater } from '../../preferences/raters/rater.ts';
import type { Rule } from '../../preferences/raters/rule.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { GlobalOptions } from '../context.ts';
import { openEndpoint } from './open-endpoint.ts';
import type { EndpointOptions } from './options.ts';

export interface RaterOptions extends EndpointOptions, GlobalOptions {
  readonly rater: string;
  readonly prompts: string;
  readonly maxTokens: number;
}

export interface OpenRater {
  readonly rater: Rater;
  /** A judge's endpoint. */
  readonly client?: LlmClient;
}

const KINDS = 'reward:DIR, rule:FILE.mjs, command:PROGRAM, http:URL, judge:score or judge:pairwise';

/** @throws InputError for a rater that is unknown or incomplete */
export async function openRater(runtime: Runtime, options: RaterOptions): Promise<OpenRater> {
  const [kind, what = ''] = options.rater.split(/:(.*)/s);
  if (what === '') throw new InputError(`--rater ${options.rater}: expected one of ${KINDS}.`);
  switch (kind) {
    case 'reward': {
      const { openRewardRater } = await import('../../preferences/raters/reward-model.ts');
      return { rater: await openRewardRater(runtime, what, options.device) };
    }
    case 'rule': {
      const { ruleRater } = await import('../../preferences/raters/rule.ts');
      const { loadFunction } = await import('./user-module.ts');
      return { rater: ruleRater(what, await loadFunction<Rule>(what, '(prompt, answer, row) => number')) };
    }
    case 'command': {
      const { commandRater } = await import('./command-rater.ts');
      return { rater: commandRater(what) };
    }
    case 'http':
    case 'https':
      return {
        rater: await openHttpRater(kind === 'https' || what.startsWith('//') ? options.rater : what, options),
      };
    case 'judge':
      if (what === 'score' || what === 'pairwise') return openJudge(runtime, what, options);
  }
  throw new InputError(`--rater ${options.rater}: expected one of ${KINDS}.`);
}

async function openHttpRater(url: string, options: RaterOptions): Promise<Rater> {
  if (!URL.canParse(url))
    throw new InputError(`--rater http:${url}: is no URL; give http:http://HOST:PORT/PATH.`);
  const { httpRater } = await import('../../preferences/raters/line-protocol.ts');
  return httpRater({
    url,
    concurrency: options.concurrency ?? 8,
    timeoutSeconds: 300,
    retries: 5,
    wait: (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds)),
  });
}

async function openJudge(
  runtime: Runtime,
  kind: 'score' | 'pairwise',
  options: RaterOptions,
): Promise<OpenRater> {
  const { judge } = await import('../../preferences/raters/judge.ts');
  const { PromptFile } = await import('../../preferences/prompt-file.ts');
  const { promptPath } = await import('./prompt-path.ts');
  const client = await openEndpoint(runtime, options);
  const prompts = await PromptFile.load(runtime.files, promptPath(options.prompts));
  const { maxTokens } = options;
  return {
    rater: judge(kind, { model: client, modelName: client.settings.model, prompts, maxTokens }),
    client,
  };
}
