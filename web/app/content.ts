/** What the page ships and shows first: its models, how they were trained, and the methods its panels open with. */
import type { MethodChoice } from '../worker/protocol.ts';
import type { ModelEntry } from './library.ts';

/** Models beside the reference, in the order in which they are loaded, with the methods that trained them. */
export const SHIPPED_METHODS = {
  'dpo-bmc': { name: 'dpo', settings: { beta: 0.5 }, bmc: { delta: 2 } },
  dpo: { name: 'dpo', settings: { beta: 0.5 } },
} as const satisfies Readonly<Record<string, MethodChoice>>;

export type ShippedModel = keyof typeof SHIPPED_METHODS;
export const SHIPPED_MODELS = Object.keys(SHIPPED_METHODS) as ShippedModel[];

/** The model whose scores are shown before any is chosen. */
export const FIRST_MODEL: ShippedModel = 'dpo-bmc';

/** Of a model that nobody has said more about, and where the training panel opens. */
export const FIRST_METHOD: MethodChoice = SHIPPED_METHODS.dpo;

/** Its curves differ most between reference margins. */
export const FIRST_PLAYGROUND_METHOD = 'mipo';

/** Models of the library, as people call them; others go by their own name. */
const NAMES: Readonly<Record<ShippedModel | 'reference', string>> = {
  'dpo-bmc': 'after DPO-BMC',
  dpo: 'after DPO',
  reference: 'before training',
};

/** The shipped models as entries of the library, for the address of the page. */
export function shippedModels(page: string): ModelEntry[] {
  return [...SHIPPED_MODELS, 'reference' as const].map((id) => ({
    kind: 'model',
    id,
    name: NAMES[id],
    origin: 'bundled example',
    source: { kind: 'url', url: new URL(`./models/${id}`, page).href },
    method: id === 'reference' ? FIRST_METHOD : SHIPPED_METHODS[id],
  }));
}
