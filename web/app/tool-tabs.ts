/** The tools beside the answers; arrow keys move between their tabs. */
import { button, h } from './dom.ts';
import { TOOLS, type Tool } from './state.ts';

const LABELS: Readonly<Record<Tool, string>> = {
  token: 'Token',
  charts: 'Charts',
  edit: 'Edit',
  train: 'Train',
  playground: 'Losses',
  files: 'Open',
};

export function toolTabs(current: Tool, choose: (tool: Tool) => void): HTMLElement {
  const tabs = TOOLS.map((tool) =>
    button(
      LABELS[tool],
      {
        role: 'tab',
        'aria-selected': tool === current ? 'true' : 'false',
        'aria-controls': 'tool',
        tabindex: tool === current ? 0 : -1,
        'data-testid': `tab-${tool}`,
      },
      () => choose(tool),
    ),
  );
  const list = h('div', { class: 'tab-list', role: 'tablist', 'aria-label': 'Tools' }, ...tabs);
  list.addEventListener('keydown', (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = TOOLS[(TOOLS.indexOf(current) + step + TOOLS.length) % TOOLS.length];
    choose(next);
    document.querySelector<HTMLElement>(`[data-testid=tab-${next}]`)?.focus();
  });
  return list;
}
