/** Functions that users bring as JavaScript modules: rules, exact editors, graders. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { InputError, RunError } from '../../errors.ts';

type UserFunction = (...args: never[]) => unknown;

/**
 * The default export of a module; what it throws becomes a RunError with its name.
 * @throws InputError where there is none, or it is no function
 */
export async function loadFunction<F extends UserFunction>(path: string, what: string): Promise<F> {
  const full = resolve(path);
  if (!existsSync(full)) throw new InputError(`${path}: there is no such file.`);
  let module: { default?: unknown };
  try {
    module = (await import(pathToFileURL(full).href)) as { default?: unknown };
  } catch (error) {
    throw new InputError(`${path}: cannot be loaded: ${error instanceof Error ? error.message : error}`);
  }
  if (typeof module.default === 'function') return guarded(path, module.default as F);
  throw new InputError(`${path}: exports no function; write "export default ${what}"`);
}

function guarded<F extends UserFunction>(path: string, call: F): F {
  const fail = (error: unknown): never => {
    throw new RunError(`${path}: failed: ${error instanceof Error ? error.message : error}`);
  };
  const guard = (...args: never[]): unknown => {
    try {
      const result = call(...args);
      return result instanceof Promise ? result.catch(fail) : result;
    } catch (error) {
      return fail(error);
    }
  };
  return guard as F;
}
