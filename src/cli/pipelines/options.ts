/** Options that the commands share which make preference data. */
import { type Command, InvalidArgumentError } from 'commander';
import { type Columns, DEFAULT_COLUMNS, type Field } from '../../data/columns.ts';
import type { GlobalOptions } from '../context.ts';
import { numberFrom, wholeNumber } from '../options.ts';

export interface RowOptions extends GlobalOptions {
  readonly rows: string;
  readonly out: string;
  readonly resume?: boolean;
  readonly force?: boolean;
  readonly maxRows?: number;
  readonly onBadRow: 'error' | 'skip';
  readonly column?: Columns;
  readonly dryRun?: boolean;
}

export interface EndpointOptions {
  readonly endpoint?: string;
  readonly endpointModel?: string;
  readonly apiKeyEnv?: string;
  readonly concurrency?: number;
  readonly maxCost?: number;
  readonly maxTotalTokens?: number;
  readonly cache?: string;
}

/** A model on this machine, instead of an endpoint. */
export interface LocalModelOptions {
  readonly model?: string;
  readonly adapter?: string;
  readonly batchSize: number;
}

export function addLocalModelOptions(command: Command): Command {
  return command
    .option('--model <DIR>', 'model directory, to answer on this machine instead of at an endpoint')
    .option('--adapter <DIR>', 'directory of a PEFT LoRA adapter for that model')
    .option('--batch-size <COUNT>', 'answers written at the same time by --model', wholeNumber(1), 16);
}

export function addRowOptions(command: Command): Command {
  return command
    .requiredOption(
      '--rows <FILE>',
      'rows to read: a file or pattern of JSON Lines, JSON or Parquet, or hf:OWNER/NAME:SPLIT',
    )
    .requiredOption('--out <FILE.jsonl>', 'rows to write; dropped ones, settings and report lie beside it')
    .option('--resume', 'go on with an output that is not complete, and try failed rows again')
    .option('--force', 'replace an output that is there')
    .option('--max-rows <COUNT>', 'read this many rows', wholeNumber(0))
    .option('--dry-run', 'say how many requests there would be and what they could cost; send none')
    .option('--on-bad-row <error|skip>', 'what to do with a row that cannot be used', errorOrSkip, 'error')
    .option(
      '--column <FIELD=NAME>',
      'column that holds a field, such as prompt=problem; repeatable',
      columnOf,
    );
}

export function addEndpointOptions(command: Command): Command {
  return command
    .option(
      '--endpoint <URL|FILE.yaml>',
      'OpenAI-compatible endpoint: its base URL, or a file with its settings',
    )
    .option('--endpoint-model <NAME>', "model's name at the endpoint")
    .option('--api-key-env <NAME>', 'environment variable with the key (default: OPENAI_API_KEY)')
    .option('--concurrency <COUNT>', 'requests under way at once (default: 8)', wholeNumber(1))
    .option(
      '--max-cost <NUMBER>',
      "most that answers may cost, in the currency of the file's prices; --resume counts the runs before it",
      numberFrom(0),
    )
    .option(
      '--max-total-tokens <COUNT>',
      'most tokens that answers may use, prompts included; --resume counts the runs before it',
      wholeNumber(1),
    )
    .option('--cache <DIR>', "where raw answers are kept (default: llm/ in the user's cache)");
}

export function errorOrSkip(text: string): 'error' | 'skip' {
  if (text === 'error' || text === 'skip') return text;
  throw new InvalidArgumentError('Expected error or skip.');
}

export function columnOf(text: string, before: Columns = {}): Columns {
  const [field, name] = text.split(/=(.*)/s);
  if (!Object.hasOwn(DEFAULT_COLUMNS, field) || !name) {
    throw new InvalidArgumentError(
      `Expected FIELD=NAME with FIELD one of ${Object.keys(DEFAULT_COLUMNS).join(', ')}.`,
    );
  }
  return { ...before, [field as Field]: name };
}

/** '13,21,42'. */
export function seedList(text: string): number[] {
  return text.split(',').map(wholeNumber(0));
}
