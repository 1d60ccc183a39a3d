/** `prefgrad generate --prompt`: texts to the terminal, as they come. */
import { submitText } from '../generate/text-generation.ts';
import { openTextModel, readTextFacts, templateOf } from '../generate/text-model.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Cli } from './context.ts';
import { encodePrompt, type GenerateSettings, requestOf } from './generate-rows.ts';

/** @throws InputError for settings, model, device or prompts that are wrong, before anything is written */
export async function generateTexts(
  cli: Cli,
  runtime: Runtime,
  texts: readonly string[],
  settings: GenerateSettings,
): Promise<void> {
  const facts = await readTextFacts(runtime.files, settings.model, settings.adapter);
  const { tokenizer } = facts;
  const template = templateOf(tokenizer);
  const prompts = texts.map((text, i) =>
    encodePrompt(text, facts, template, { file: '--prompt', line: i + 1, value: {} }),
  );
  const model = await openTextModel(runtime, { ...settings, maxSequences: settings.batchSize }, facts);
  try {
    const request = requestOf(settings, tokenizer);
    const generations = prompts.map((prompt, i) =>
      submitText(model.engine, tokenizer, { ...request, prompt, firstSample: i }),
    );
    for (const [i, generation] of generations.entries()) {
      if (i > 0) cli.out('\n');
      cli.out(texts[i]);
      for await (const event of generation) if (event.kind !== 'prompt') cli.out(event.text);
      cli.out('\n');
    }
  } finally {
    await model.close();
  }
}
