/**
 * The commented configuration that `prefgrad init` writes. Descriptions, ranges and defaults come from the schema, so that
 * the file says what `prefgrad train --help` says.
 */
import { stringify } from 'yaml';
import { LORA_TARGETS } from '../models/weight-table.ts';
import { findObjective, tokenWeightRegistry } from '../objectives/registry.ts';
import { type ConfigKey, configKeys } from './config-keys.ts';
import { objectiveFacts, objectiveText, type SettingFacts, settingFacts } from './objective-list.ts';

export interface Start {
  readonly method: string;
  /** Name of a token weight on top of the method. */
  readonly tokenWeights: string | undefined;
  readonly model: string;
  readonly train: string;
  readonly eval: string | undefined;
  readonly lora: boolean;
  /** Most tokens of a row, where the model has fewer positions than the default. */
  readonly maxLength: number;
  readonly outputDir: string;
  /** The file's own name, for the commands in its head. */
  readonly file: string;
}

/** Default of data.max_length. */
export const DEFAULT_MAX_LENGTH = 1024;

/** Rates of published recipes for all weights; for adapters the range that is common (docs/recipes.md). */
const RATES = {
  full: { sft: 2e-5, preference: 1e-6 },
  lora: { sft: 2e-4, preference: 5e-5 },
} as const;

const WIDTH = 110;

/** One key of the file; `isOff` writes it as a comment, for the reader to take. */
interface Entry {
  readonly key: string;
  readonly value: unknown;
  readonly isOff?: boolean;
}

const off = (key: string, value: unknown): Entry => ({ key, value, isOff: true });

/** @throws InputError for a method that there is not */
export function startingConfig(start: Start): string {
  const facts = objectiveFacts(findObjective(start.method));
  const rates = RATES[start.lora ? 'lora' : 'full'];
  const known = new Map(configKeys().map((key) => [key.key, key]));
  const group = (name: string, entries: readonly Entry[]) => [
    '',
    `${name}:`,
    ...entries.flatMap((entry) => keyLines(known.get(`${name}.${entry.key}`), entry)),
  ];
  const lines = [
    ...headLines(start.file),
    ...objectiveText(facts)
      .trimEnd()
      .split('\n')
      .filter((line) => !/^ {2}settings|^ {4}/.test(line))
      .flatMap((line) => comment(line, '', '            ')),
    ...group('model', [
      { key: 'path', value: start.model },
      ...(start.lora ? [off('load_in_4bit', true)] : []),
    ]),
    ...(start.lora
      ? group('lora', [
          { key: 'r', value: 16 },
          { key: 'lora_alpha', value: 32 },
          { key: 'target_modules', value: LORA_TARGETS },
        ])
      : []),
    '',
    'objective:',
    `  name: ${facts.name}`,
    ...settingLines('settings', facts.settings, '  '),
    ...tokenWeightLines(start.tokenWeights),
    ...group('data', [
      { key: 'train', value: start.train },
      start.eval === undefined ? { key: 'eval_fraction', value: 0.05 } : { key: 'eval', value: start.eval },
      { key: 'max_length', value: start.maxLength },
      off('columns', { chosen: 'response_a', rejected: 'response_b' }),
      off('chat_template', 'chat.jinja'),
    ]),
    ...group('training', [
      { key: 'learning_rate', value: facts.needs.rows === 'chosen' ? rates.sft : rates.preference },
      { key: 'num_train_epochs', value: 1 },
      { key: 'per_device_train_batch_size', value: 8 },
      { key: 'gradient_accumulation_steps', value: 4 },
      { key: 'logging_steps', value: 10 },
      { key: 'eval_steps', value: 0.1 },
      { key: 'save_steps', value: 0.25 },
      off('save_total_limit', 2),
      off('memory_budget', '20GiB'),
    ]),
    ...['output_dir', 'seed'].flatMap((key) => [
      '',
      ...keyLines(known.get(key), { key, value: key === 'seed' ? 42 : start.outputDir }, ''),
    ]),
  ];
  return `${lines.join('\n')}\n`;
}

function headLines(file: string): string[] {
  return [
    '# Written by "prefgrad init". Every key with its range: prefgrad train --help',
    '#',
    `#   prefgrad validate ${file}     every mistake at once, before a GPU is opened`,
    `#   prefgrad preview ${file}      the tokens of the first rows, and which of them are learnt`,
    `#   prefgrad train ${file}        add --resume to go on with a run that was stopped`,
    '#',
  ];
}

function tokenWeightLines(name: string | undefined): string[] {
  if (name === undefined) return [];
  const weight = tokenWeightRegistry.find(name);
  return [
    '  token_weights:',
    `    name: ${name}`,
    ...settingLines('settings', weight === undefined ? [] : settingFacts(weight.settings), '    '),
  ];
}

/** Settings with their defaults; one without a default is left to the reader. */
function settingLines(name: string, settings: readonly SettingFacts[], indent: string): string[] {
  if (settings.length === 0) return [];
  const lines = settings.flatMap(({ name: key, value, default: fallback, description }) => [
    ...comment([description, value].filter((text) => text !== '').join('; '), `${indent}  `),
    fallback === undefined ? `${indent}  # ${key}:` : `${indent}  ${key}: ${valueText(fallback)}`,
  ]);
  const hasValue = settings.some(({ default: fallback }) => fallback !== undefined);
  return [`${indent}${hasValue ? '' : '# '}${name}:`, ...lines];
}

function keyLines(
  known: ConfigKey | undefined,
  { key, value, isOff = false }: Entry,
  indent = '  ',
): string[] {
  const said = known === undefined ? [] : comment(known.description, indent);
  return [...said, `${indent}${isOff ? '# ' : ''}${key}: ${valueText(value)}`];
}

/** A value on one line; small numbers as people write rates. */
function valueText(value: unknown): string {
  if (typeof value === 'number' && value !== 0 && Math.abs(value) < 1e-3) return value.toExponential();
  return stringify(value, { collectionStyle: 'flow', flowCollectionPadding: false, lineWidth: 0 }).trim();
}

/** A comment, cut into lines between words; further lines begin with `hanging`. */
function comment(text: string, indent: string, hanging = ''): string[] {
  const lines: string[] = [];
  const room = WIDTH - indent.length - 2;
  let line = /^ */.exec(text)?.[0] ?? '';
  for (const word of text.trim().split(/ +/)) {
    if (line.trim() !== '' && line.length + 1 + word.length > room) {
      lines.push(line);
      line = hanging;
    }
    line += line.trim() === '' ? word : ` ${word}`;
  }
  return [...lines, line].map((part) => `${indent}# ${part}`);
}
