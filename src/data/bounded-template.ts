/**
 * A Jinja template that comes with a model, and is therefore bounded: V8 ends the whole process where memory is exhausted, and
 * doubling a text or a list thirty times takes less time than any time limit. No conversation needs what is refused here.
 */
import { Environment, Interpreter, parse, Template, tokenize } from '@huggingface/jinja';

/** Elements of a range that transformers' sandbox (Jinja2's) allows. */
const MAX_RANGE = 100_000;
/** Characters of one text, and of all texts together that filters and functions make. */
const MAX_TEXT = 2 ** 24;
const MAX_TEXTS = 2 ** 28;
/** Elements of one list, and of all lists together. */
const MAX_LIST = 10 ** 6;
const MAX_LISTS = 10 ** 7;

/** What hands on a value that is there already, and makes none. */
const READING = new Set(['Identifier', 'Ternary', 'Set', 'If']);
/** A concatenation refers to its parts and copies nothing. */
const JOINING = 'BinaryExpression';

type Node = Parameters<Interpreter['evaluate']>[0];

/** Evaluates as its base does, and measures what comes out. */
class BoundedInterpreter extends Interpreter {
  #texts = 0;
  #lists = 0;

  override evaluate(node: Node, environment: Environment): ReturnType<Interpreter['evaluate']> {
    const result = super.evaluate(node, environment);
    if (node === undefined || READING.has(node.type)) return result;
    // Some values are functions and maps.
    const value: unknown = result.value;
    if (typeof value === 'string') {
      if (node.type !== JOINING) this.#texts += value.length;
      refuseBeyond(value.length, MAX_TEXT, 'a text of', 'characters');
      refuseBeyond(this.#texts, MAX_TEXTS, 'texts of', 'characters');
    } else if (Array.isArray(value)) {
      this.#lists += value.length;
      refuseBeyond(value.length, MAX_LIST, 'a list of', 'elements');
      refuseBeyond(this.#lists, MAX_LISTS, 'lists of', 'elements');
    }
    return result;
  }
}

/** The template makes more than any conversation needs, and would of the next one too. */
export class BoundsError extends Error {
  override name = 'BoundsError';
}

function refuseBeyond(found: number, most: number, what: string, unit: string): void {
  if (found > most) throw new BoundsError(`it makes ${what} ${found} ${unit}; at most ${most} are allowed`);
}

/** Jinja's range(start, stop, step), or range(stop). */
function range(first: number, second?: number, step = 1): number[] {
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  if (step === 0) throw new RangeError('range() step must not be zero');
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (!(length <= MAX_RANGE))
    throw new BoundsError(`range() of ${length} elements; at most ${MAX_RANGE} are allowed`);
  return Array.from({ length }, (_, i) => start + i * step);
}

/** The library's own, which it keeps to its templates. */
const DATE = new Template('{{ strftime_now(format) }}');

const GLOBALS: Readonly<Record<string, unknown>> = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
  range,
  raise_exception: (message: string) => {
    throw new Error(message);
  },
  strftime_now: (format: string) => DATE.render({ format }),
};

export class BoundedTemplate {
  readonly #program: ReturnType<typeof parse>;

  /** @throws Error for a source that does not compile */
  constructor(source: string) {
    // As the library and transformers read chat templates.
    this.#program = parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
  }

  /** @throws Error for what the template refuses, or what is beyond the bounds */
  render(variables: Readonly<Record<string, unknown>>): string {
    const environment = new Environment();
    for (const [name, value] of Object.entries({ ...GLOBALS, ...variables })) environment.set(name, value);
    return String(new BoundedInterpreter(environment).run(this.#program).value);
  }
}
