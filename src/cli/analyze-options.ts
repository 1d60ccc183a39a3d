/** Options that name what analyses are made from. */
import { basename } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import type { Named, Sources } from '../analyze/read.ts';
import { numberFrom, repeated } from './options.ts';

export interface SourceOptions {
  readonly run?: readonly Named[];
  readonly scores?: readonly Named[];
  readonly sweep?: readonly string[];
  readonly report?: readonly Named[];
  readonly metric: string;
  readonly baseline?: string;
  readonly kl: string;
  readonly beta: number;
}

/** NAME=PATH, or PATH under the name of its last part; repeated. Names become names of files. */
export function namedPaths(text: string, before: readonly Named[] = []): Named[] {
  const equals = text.indexOf('=');
  const path = equals < 0 ? text : text.slice(equals + 1);
  const name =
    equals < 0 ? basename(path).replace(/\.(jsonl|json|gz|scores|report)\b.*$/, '') : text.slice(0, equals);
  if (path === '' || !/^[\w.+-]+$/.test(name))
    throw new InvalidArgumentError(
      'Expected PATH or NAME=PATH; a name has letters, digits, ".", "+", "-" and "_".',
    );
  return [...before, { name, path: path.replace(/\/+$/, '') }];
}

export function addSourceOptions(command: Command): Command {
  return command
    .option('--run <[NAME=]DIR>', 'output directory of a training run; repeat it to compare', namedPaths)
    .option(
      '--scores <[NAME=]FILE>',
      'lines of "prefgrad score --reference"; repeat it to compare',
      namedPaths,
    )
    .option(
      '--sweep <FILE.jsonl>',
      'settings and metrics: {"method", "beta", "win_rate", ...}; with "run", more about that run',
      repeated,
    )
    .option('--report <[NAME=]FILE.report.json>', 'what "prefgrad bridge" and its like reported', namedPaths)
    .option('--metric <NAME>', 'metric of figures over a setting', 'eval_rewards/accuracies')
    .option('--baseline <METHOD>', 'method that figures over a setting draw as a dotted line, such as dpo')
    .option('--kl <NAME>', 'divergence of epsilon-4b', 'eval_kl_chosen')
    .option('--beta <NUMBER>', "MIPO's beta in mipo-5 and mipo-6", numberFrom(0), 25);
}

export function sourcesOf(options: SourceOptions): Sources {
  const { run = [], scores = [], sweep = [], report = [], metric, baseline, kl, beta } = options;
  return { runs: run, scores, sweeps: sweep, reports: report, metric, baseline, kl, beta };
}
