/** How a prompt that is a bare string is put to a model. Prompts that are messages stay as they are. */
import { inTemplate, PROMPT_PLACE } from '../data/rows.ts';
import { InputError } from '../errors.ts';
import type { Prompt } from './dialogue.ts';

/** 'text': as it is; 'chat': one message of the user; else a text with the place {prompt}. */
export type PromptShape = 'text' | 'chat' | { readonly template: string };

/** BMC's template for questions and maths, from its released code. */
export const INSTRUCTION_TEMPLATE = '### Instruction:\n{prompt}\n\n### Response:\n';

/** @param text 'text', 'chat', 'instruction' (BMC's template), or a template. @throws InputError */
export function parsePromptShape(text: string): PromptShape {
  if (text === 'text' || text === 'chat') return text;
  if (text === 'instruction') return { template: INSTRUCTION_TEMPLATE };
  if (text.includes(PROMPT_PLACE)) return { template: text };
  throw new InputError(
    `'${text}' is no shape of prompts: give text, chat, instruction, or a template with {prompt}.`,
  );
}

export function shaped(prompt: Prompt, shape: PromptShape): Prompt {
  if (typeof prompt !== 'string' || shape === 'text') return prompt;
  if (shape === 'chat') return [{ role: 'user', content: prompt }];
  return inTemplate(shape.template, prompt);
}
