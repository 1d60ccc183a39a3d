/** Prompt and answers as text; the colours follow while one types. */
import type { PairText } from '../worker/protocol.ts';
import { button, h } from './dom.ts';

/** Quiet time after a key before the text is scored. */
const DELAY = 200;

export interface EditorOptions {
  onChange(pair: PairText): void;
  /** A continuation of the prompt by the first model shown; empty when it failed. */
  generate(prompt: string): Promise<string>;
}

export function editor(pair: PairText, { onChange, generate }: EditorOptions): HTMLElement {
  const area = (label: string, testid: string, text: string) => {
    const element = h('textarea', { 'data-testid': testid, rows: 4, spellcheck: 'false' });
    element.value = text;
    return { element, label: h('label', { class: 'field wide' }, h('span', {}, label), element) };
  };
  const prompt = area('prompt', 'edit-prompt', pair.prompt);
  const chosen = area('chosen', 'edit-chosen', pair.chosen);
  const rejected = area('rejected', 'edit-rejected', pair.rejected);
  const report = () =>
    onChange({
      prompt: prompt.element.value,
      chosen: chosen.element.value,
      rejected: rejected.element.value,
    });
  let timer: ReturnType<typeof setTimeout> | undefined;
  for (const { element } of [prompt, chosen, rejected]) {
    element.addEventListener('input', () => {
      clearTimeout(timer);
      timer = setTimeout(report, DELAY);
    });
  }
  const generateInto = (side: typeof chosen) =>
    void generate(prompt.element.value).then((text) => {
      if (text === '') return;
      side.element.value = text;
      report();
    });
  return h(
    'div',
    { class: 'form' },
    prompt.label,
    chosen.label,
    rejected.label,
    button('Generate chosen', { 'data-testid': 'generate-chosen' }, () => generateInto(chosen)),
    button('Generate rejected', {}, () => generateInto(rejected)),
  );
}
