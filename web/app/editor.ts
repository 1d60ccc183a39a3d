/** Prompt and answers as text; the colours follow while one types. */
import type { PairText } from '../worker/protocol.ts';
import { button, choice, h } from './dom.ts';

/** Quiet time after a key before the text is scored. */
const DELAY = 200;

export interface EditorOptions {
  onChange(pair: PairText): void;
  /** Models that can write an answer, by slot and name. */
  readonly writers: readonly (readonly [slot: string, name: string])[];
  /** A continuation of the prompt; `onText` gets all of it so far. Empty when it failed. */
  generate(writer: string, prompt: string, onText: (text: string) => void): Promise<string>;
}

export function editor(pair: PairText, { onChange, writers, generate }: EditorOptions): HTMLElement {
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
  let [[writer] = ['']] = writers;
  const generateInto = ({ element }: typeof chosen) => {
    const show = (text: string) => {
      element.value = text;
    };
    void generate(writer, prompt.element.value, show).then((text) => {
      // Something else may be open by now.
      if (text === '' || !element.isConnected) return;
      show(text);
      report();
    });
  };
  return h(
    'div',
    { class: 'form' },
    prompt.label,
    chosen.label,
    rejected.label,
    choice('written by', 'writer', writers, writer, (slot) => {
      writer = slot;
    }),
    button('Generate chosen', { 'data-testid': 'generate-chosen' }, () => generateInto(chosen)),
    button('Generate rejected', { 'data-testid': 'generate-rejected' }, () => generateInto(rejected)),
  );
}
