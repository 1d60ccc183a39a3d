/**
 * Templates, regular expressions and normalizers come with a model and may run for ever. Node can end such work from
 * outside; where the platform cannot, it runs without a limit.
 */
import { InputError } from '../errors.ts';

/** The row or text takes more time or memory than any that is meant seriously. It ends a data set, since the next row would too. */
export class LimitError extends InputError {
  override name = 'LimitError';
}

const LIMIT_MS = 5000;

type Limited = (action: () => void) => void;

let limited: Limited | undefined;
let isInside = false;

/**
 * Runs `action`, which may call this again: the outermost call has the limit.
 * @param what - names what is run, for messages
 * @throws LimitError after five seconds
 */
export function withTimeLimit<T>(what: () => string, action: () => T): T {
  if (isInside) return action();
  limited ??= platformLimit();
  let result: { readonly value: T } | undefined;
  isInside = true;
  try {
    limited(() => {
      result = { value: action() };
    });
  } catch (error) {
    if (!isTimeout(error)) throw error;
    throw new LimitError(
      `${what()}: takes longer than ${LIMIT_MS / 1000} s. The chat template, or a pattern in tokenizer.json, does not come ` +
        'to an end; use those of a model that you trust',
    );
  } finally {
    isInside = false;
  }
  if (result === undefined) throw new RangeError('The action did not run.');
  return result.value;
}

/** V8's watchdog ends what a script calls, also in functions from outside of it and inside of regular expressions. */
function platformLimit(): Limited {
  const vm = globalThis.process?.getBuiltinModule?.('node:vm');
  if (vm === undefined) return (action) => action();
  const context = vm.createContext({ action: () => {} });
  const script = new vm.Script('action()');
  return (action) => {
    context.action = action;
    script.runInContext(context, { timeout: LIMIT_MS });
  };
}

function isTimeout(error: unknown): boolean {
  // It is an Error of the script's own realm.
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    error.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT'
  );
}
