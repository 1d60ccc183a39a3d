/** What the page ships and shows first: its models, how they were trained, and the methods its panels open with. */
import type { MethodChoice } from '../worker/protocol.ts';

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

/** Model slots, as people call them; others go by their own name. */
export const MODEL_NAMES: Readonly<Record<string, string>> = {
  'dpo-bmc': 'after DPO-BMC',
  dpo: 'after DPO',
  reference: 'reference',
  policy: 'trained in this tab',
};
