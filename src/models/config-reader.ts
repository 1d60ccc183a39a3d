/**
 * Reads the fields of a Hugging Face `config.json`. A field that would change the mathematics and that we do not
 * implement is refused by name; a field that nobody asked for is refused too, since it might be one.
 */
import { InputErrors } from '../errors.ts';
import type { RopeScaling } from '../nn/rotary-table.ts';

export type Fields = Readonly<Record<string, unknown>>;

/** Fields that say nothing about the forward pass. */
const HARMLESS = new Set([
  '_name_or_path',
  'architectures',
  'bos_token_id',
  'cache_implementation',
  'dtype',
  'eos_token_id',
  'id2label',
  'initializer_range',
  'label2id',
  'model_type',
  'pad_token_id',
  'torch_dtype',
  'transformers_version',
  'unsloth_fixed',
  'unsloth_version',
  'use_cache',
]);

export class ConfigReader {
  readonly #raw: Fields;
  readonly #file: string;
  readonly #problems: string[] = [];
  readonly #asked = new Set(HARMLESS);

  constructor(raw: Fields, file: string) {
    this.#raw = raw;
    this.#file = file;
  }

  /** The value as it stands; undefined where the field is absent or null. */
  raw(field: string): unknown {
    this.#asked.add(field);
    return this.#raw[field] ?? undefined;
  }

  /** A positive whole number. */
  whole(field: string, fallback?: number): number {
    const value = this.raw(field) ?? fallback;
    if (typeof value === 'number' && Number.isInteger(value) && value > 0) return value;
    this.problem(field, `expected a positive whole number, found ${JSON.stringify(value)}`);
    return 1;
  }

  /** A positive whole number of things that are listed one by one, so that a wrong one must not fill memory. */
  countUpTo(field: string, most: number): number {
    const value = this.whole(field);
    if (value <= most) return value;
    this.problem(field, `${value} is more than any model has; expected at most ${most}`);
    return 1;
  }

  optionalWhole(field: string): number | undefined {
    return this.raw(field) === undefined ? undefined : this.whole(field);
  }

  /** A positive number. */
  real(field: string, fallback?: number): number {
    return this.#positive(field, this.raw(field) ?? fallback);
  }

  /** A number, or null or nothing for none; a field that is absent has the default of its family. */
  realOrNone(field: string, absent: number): number | undefined {
    if (!(field in this.#raw)) return this.real(field, absent);
    return this.raw(field) === undefined ? undefined : this.real(field);
  }

  boolean(field: string, fallback: boolean): boolean {
    const value = this.raw(field) ?? fallback;
    if (typeof value === 'boolean') return value;
    this.problem(field, `expected true or false, found ${JSON.stringify(value)}`);
    return fallback;
  }

  /** Theta and scaling of the rotary embedding, from `rope_theta` and `rope_scaling` or, as of transformers 5, `rope_parameters`. */
  rope(): { theta: number; scaling: RopeScaling | undefined } {
    const parameters = record(this.raw('rope_parameters'));
    const theta = this.raw('rope_theta') ?? parameters?.rope_theta ?? 10000;
    return {
      theta: this.#positive('rope_theta', theta),
      scaling: this.#ropeScaling(record(this.raw('rope_scaling')) ?? parameters),
    };
  }

  /**
   * Which layers have a sliding window, as configurations say it since transformers 4.53.
   * @returns undefined where the field is absent
   */
  slidingLayers(layers: number): boolean[] | undefined {
    const types = this.raw('layer_types');
    if (types === undefined) return undefined;
    const isKnown = (type: unknown) => type === 'sliding_attention' || type === 'full_attention';
    if (Array.isArray(types) && types.length === layers && types.every(isKnown))
      return types.map((type) => type === 'sliding_attention');
    this.problem(
      'layer_types',
      `expected "sliding_attention" or "full_attention" for each of ${layers} layers, found ${JSON.stringify(types)}`,
    );
    return undefined;
  }

  /** A field that is fine at some values only; absent is one of them. */
  only(field: string, ...allowed: readonly unknown[]): void {
    this.#asked.add(field);
    if (!(field in this.#raw) || allowed.includes(this.#raw[field])) return;
    const values = allowed.map((value) => JSON.stringify(value)).join(' or ');
    this.problem(field, `${JSON.stringify(this.#raw[field])} is not supported, only ${values}`);
  }

  problem(field: string, text: string): void {
    this.#problems.push(`${field}: ${text}`);
  }

  /** To be called once everything was asked for. @throws InputErrors naming every field that is not supported */
  finish(): void {
    for (const field of Object.keys(this.#raw)) {
      if (!this.#asked.has(field))
        this.problem(field, 'prefgrad does not know this field and will not guess what it changes');
    }
    if (this.#problems.length > 0)
      throw new InputErrors(`${this.#file} describes a model that prefgrad cannot run:`, this.#problems);
  }

  #positive(field: string, value: unknown): number {
    // Kernels have f32, in which larger numbers are infinite and smaller ones zero.
    const isUsable = typeof value === 'number' && value > 0 && Number.isFinite(Math.fround(value));
    if (isUsable && Math.fround(value) > 0) return value;
    this.problem(field, `expected a positive number, found ${JSON.stringify(value)}`);
    return 1;
  }

  #ropeScaling(raw: Fields | undefined): RopeScaling | undefined {
    const type = raw?.rope_type ?? raw?.type ?? 'default';
    if (raw === undefined || type === 'default') return undefined;
    if (type !== 'llama3') {
      this.problem('rope_scaling', `the type ${JSON.stringify(type)} is not supported, only "llama3"`);
      return undefined;
    }
    const number = (field: string) => this.#positive(`rope_scaling.${field}`, raw[field]);
    return {
      factor: number('factor'),
      lowFrequencyFactor: number('low_freq_factor'),
      highFrequencyFactor: number('high_freq_factor'),
      originalMaxPositions: number('original_max_position_embeddings'),
    };
  }
}

function record(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null ? (value as Fields) : undefined;
}
