/** Prompts for language models as files: named, versioned, with places for the texts of a row. */
import { YAMLParseError } from 'yaml';
import * as z from 'zod';
import { InputError } from '../errors.ts';
import type { ChatMessage } from '../llm/request.ts';
import type { FileSystem } from '../runtime/runtime.ts';
import { parseYaml } from '../yaml-values.ts';

const schema = z.strictObject({
  name: z.string(),
  version: z.int().min(1),
  note: z.string().describe('where the words come from'),
  system: z.string().optional(),
  variants: z.record(z.string(), z.string()),
  retry: z.string().optional().describe('says {problem} to a model whose answer was refused'),
});

export class PromptFile {
  readonly path: string;
  readonly name: string;
  readonly version: number;
  readonly #contents: z.infer<typeof schema>;

  private constructor(path: string, contents: z.infer<typeof schema>) {
    this.path = path;
    this.name = contents.name;
    this.version = contents.version;
    this.#contents = contents;
  }

  /** @throws InputError naming the file and what is wrong in it */
  static async load(files: Pick<FileSystem, 'readText'>, path: string): Promise<PromptFile> {
    const text = await files.readText(path);
    try {
      return new PromptFile(path, schema.parse(parseYaml(text)));
    } catch (error) {
      if (error instanceof YAMLParseError) throw new InputError(`${path}: ${error.message}`);
      if (!(error instanceof z.ZodError)) throw error;
      const issues = error.issues.map(
        ({ path: keys, message }) => `${keys.join('.') || 'top level'}: ${message}`,
      );
      throw new InputError(`${path}: ${issues.join('; ')}`);
    }
  }

  /** @throws InputError where the file has no such variant, or one that lacks a place or names one we do not fill */
  check(variant: string, places: readonly string[]): void {
    const text = this.#contents.variants[variant];
    if (text === undefined) {
      const known = Object.keys(this.#contents.variants).join(', ');
      throw new InputError(`${this.path}: has no variant '${variant}' (variants here: ${known})`);
    }
    const found = new Set([...text.matchAll(PLACE)].map(([, place]) => place));
    const wrong = [...found].filter((place) => !places.includes(place));
    const missing = places.filter((place) => !found.has(place));
    if (wrong.length > 0) {
      throw new InputError(
        `${this.path}: ${variant}: {{${wrong[0]}}} is unknown; there are ${places.join(', ')}`,
      );
    }
    if (missing.length > 0) throw new InputError(`${this.path}: ${variant}: {{${missing[0]}}} is missing`);
  }

  /** The messages of one request. Texts are put in once, so that a text that looks like a place stays text. */
  messages(variant: string, texts: Readonly<Record<string, string>>): ChatMessage[] {
    const { system, variants } = this.#contents;
    const user = filled(variants[variant] ?? '', texts);
    return [
      ...(system === undefined ? [] : [{ role: 'system', content: system }]),
      { role: 'user', content: user },
    ];
  }

  /** What is said after an answer that was refused. */
  retry(problem: string): string {
    return filled(this.#contents.retry ?? 'That answer cannot be used: {{problem}}. Please answer again.', {
      problem,
    });
  }
}

const PLACE = /\{\{(\w+)\}\}/g;

function filled(text: string, texts: Readonly<Record<string, string>>): string {
  return text.replaceAll(PLACE, (whole, place: string) => texts[place] ?? whole);
}
