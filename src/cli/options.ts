/** Readers of option values. What they refuse, commander reports with the option's name. */
import { InvalidArgumentError, Option } from 'commander';
import { YAMLParseError } from 'yaml';
import { parseYaml } from '../yaml-values.ts';

/** A whole number from `least` to `most`. */
export function wholeNumber(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && Number.isSafeInteger(value) && value >= least && value <= most) return value;
    const upper = most === Number.MAX_SAFE_INTEGER ? '' : ` and at most ${most}`;
    throw new InvalidArgumentError(`Expected a whole number of at least ${least}${upper}.`);
  };
}

/** A number from `least` to `most`. */
export function numberFrom(least: number, most = Number.POSITIVE_INFINITY): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && Number.isFinite(value) && value >= least && value <= most) return value;
    const upper = most === Number.POSITIVE_INFINITY ? '' : ` and at most ${most}`;
    throw new InvalidArgumentError(`Expected a number of at least ${least}${upper}.`);
  };
}

/** Collects a repeated option. */
export function repeated(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}

/** NAME=VALUE pairs with YAML values, as {NAME: value}; repeated. */
export function assignments(
  text: string,
  before: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  const equals = text.indexOf('=');
  if (equals < 1) throw new InvalidArgumentError('Expected NAME=VALUE.');
  try {
    return { ...before, [text.slice(0, equals)]: parseYaml(text.slice(equals + 1)) as unknown };
  } catch (error) {
    if (error instanceof YAMLParseError)
      throw new InvalidArgumentError('The value is not valid YAML; quote it.');
    throw error;
  }
}

/** For commands that take no PEFT adapter: `--adapter` once chose the GPU, and says so. */
export function adapterIsNoDevice(): Option {
  return new Option('--adapter <NAME>').hideHelp().argParser((name) => {
    throw new InvalidArgumentError(
      `The GPU is chosen with --device ${name}; an adapter is a PEFT adapter, which "score" and "generate" take.`,
    );
  });
}

/** The PEFT adapter of commands that take one, with the name that the option once had. */
export function adapterOptions(): Option[] {
  return [
    new Option('--adapter <DIR>', 'directory of a PEFT LoRA adapter for that model'),
    new Option('--adapter-dir <DIR>', 'the same').hideHelp(),
  ];
}
