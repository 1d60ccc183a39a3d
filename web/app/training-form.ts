/** What a run in this tab is asked to do: start, method, settings, and how long. */
import type { MethodChoice, MethodSummary, TrainRequest } from '../worker/protocol.ts';
import { FIRST_METHOD } from './content.ts';
import { choice, fill, h } from './dom.ts';
import { settingField } from './settings.ts';

/** Rank of the adapter that the form offers. */
const RANK = 8;

type Choices = Pick<TrainRequest, 'method' | 'learningRate' | 'batchSize' | 'steps' | 'start' | 'lora'>;

export interface TrainingFormOptions {
  readonly methods: readonly MethodSummary[];
  /** Models to start from, by id and name, the first one preselected. */
  readonly starts: readonly (readonly [string, string])[];
}

export class TrainingForm {
  readonly element: HTMLElement;
  readonly #settings = h('div', { class: 'settings' });
  readonly #bmc = h('input', { type: 'checkbox', 'data-testid': 'train-bmc', checked: true });
  readonly #rate = numberField('learning rate', 'train-lr', 1e-4);
  readonly #batch = numberField('batch size', 'train-batch', 2);
  readonly #steps = numberField('steps', 'train-steps', 30);
  #method: MethodSummary;
  #values: Record<string, unknown> = {};
  #start: string;
  #isAdapter = false;

  constructor({ methods, starts }: TrainingFormOptions) {
    this.#method = methods.find(({ name }) => name === FIRST_METHOD.name) ?? methods[0];
    this.#start = starts[0][0];
    const trained: readonly (readonly [string, string])[] = [
      ['full', 'all weights'],
      ['lora', `a LoRA adapter, rank ${RANK}`],
    ];
    const names = methods
      .filter(({ rows }) => rows !== 'labels')
      .map(({ name }): [string, string] => [name, name]);
    this.element = h(
      'div',
      { class: 'form' },
      h(
        'div',
        { class: 'settings' },
        choice('start from', 'train-start', starts, this.#start, (id) => {
          this.#start = id;
        }),
        choice('train', 'train-weights', trained, 'full', (what) => {
          this.#isAdapter = what === 'lora';
        }),
        choice('method', 'train-method', names, this.#method.name, (name) => {
          this.#method = methods.find((m) => m.name === name) ?? this.#method;
          this.#showSettings();
        }),
      ),
      h('label', { class: 'toggle' }, this.#bmc, 'BMC token weights'),
      this.#settings,
      h('div', { class: 'settings' }, this.#rate.field, this.#batch.field, this.#steps.field),
    );
    this.#showSettings();
  }

  get choices(): Choices {
    const takesBmc = this.#bmc.checked && this.#method.takesBmc;
    const method: MethodChoice = {
      name: this.#method.name,
      settings: { ...this.#values },
      ...(takesBmc ? { bmc: {} } : {}),
    };
    return {
      method,
      learningRate: this.#rate.value(),
      batchSize: this.#batch.value(),
      steps: this.#steps.value(),
      start: this.#start,
      ...(this.#isAdapter ? { lora: { r: RANK } } : {}),
    };
  }

  #showSettings(): void {
    this.#values = this.#method.name === FIRST_METHOD.name ? { ...FIRST_METHOD.settings } : {};
    fill(this.#settings, ...this.#method.settings.map((setting) => settingField(setting, this.#values)));
    this.#bmc.disabled = !this.#method.takesBmc;
  }
}

function numberField(label: string, testid: string, start: number) {
  const input = h('input', { type: 'number', step: 'any', min: 0, value: start, 'data-testid': testid });
  return {
    field: h('label', { class: 'field' }, h('span', {}, label), input),
    value: () => Number(input.value),
  };
}
