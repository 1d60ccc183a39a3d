/** Elements without markup strings: model and user text can never become HTML. */

type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** Makes an element. Attributes that are false or undefined are left out, `true` stands for the empty text. */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (value !== undefined && value !== false)
      element.setAttribute(name, value === true ? '' : String(value));
  element.append(...children);
  return element;
}

/** A labelled choice; the label is what screen readers say. */
export function choice(
  label: string,
  testid: string,
  options: readonly (readonly [value: string, text: string])[],
  value: string,
  onChange: (value: string) => void,
): HTMLLabelElement {
  const select = h(
    'select',
    { 'data-testid': testid },
    ...options.map(([v, text]) => h('option', { value: v, selected: v === value }, text)),
  );
  select.addEventListener('change', () => onChange(select.value));
  return h('label', { class: 'field' }, h('span', {}, label), select);
}

/** A button with its text and what it does. */
export function button(text: string, attributes: Attributes, onClick: () => void): HTMLButtonElement {
  const element = h('button', { type: 'button', ...attributes }, text);
  element.addEventListener('click', onClick);
  return element;
}

/** Puts new contents in place of the old ones. */
export function fill(element: Element, ...children: readonly (Node | string)[]): void {
  element.replaceChildren(...children);
}
