/** What PyTorch computed: test/fixtures/torch/ops.json, made by make_ops.py. */
import { readFileSync } from 'node:fs';

export interface FixtureTensor {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

type Named = Readonly<Record<string, FixtureTensor>>;

export interface OpFixture {
  readonly op: string;
  readonly name: string;
  // Numbers, texts and lists; each test knows its own.
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly inputs: Named;
  readonly outputs: Named;
  /** Gradient that was fed into an output, and what came out at the inputs. */
  readonly grad_outputs?: Named;
  readonly grad_inputs?: Named;
}

const file = new URL('../fixtures/torch/ops.json', import.meta.url);
let all: readonly OpFixture[] | undefined;

/** All cases of an op. @throws RangeError when there are none, which would pass silently otherwise. */
export function fixturesOf(op: string): readonly OpFixture[] {
  all ??= (JSON.parse(readFileSync(file, 'utf8')) as { cases: OpFixture[] }).cases;
  const cases = all.filter((c) => c.op === op);
  if (cases.length === 0) throw new RangeError(`ops.json has no case of ${op}.`);
  return cases;
}

/** One of them. */
export function fixtureNamed(op: string, name: string): OpFixture {
  const found = fixturesOf(op).find((fixture) => fixture.name === name);
  if (found === undefined) throw new RangeError(`ops.json has no case of ${op} named ${name}.`);
  return found;
}
