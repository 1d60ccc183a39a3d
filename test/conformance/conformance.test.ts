/** The same cases in Node on two adapters, in Deno and in the browser. "npm run conformance" runs them with more steps. */
import { beforeAll, describe, expect, it } from 'vitest';
import { hasAdapter } from '../support/adapters.ts';
import { cases } from './cases.ts';
import { type TargetReport, targets } from './targets.ts';

const STEPS = 4;

describe.each(targets)('$name', (target) => {
  const isHere = hasAdapter(target.needs);
  let report: TargetReport;
  beforeAll(async () => {
    if (isHere) report = await target.run(STEPS);
  }, 600_000);

  it.skipIf(!isHere).each(cases.map((c) => [c.group, c.name]))('%s: %s', (group, name) => {
    const found = report.results.filter((result) => result.group === group && result.name === name);
    expect(found).toHaveLength(1);
    if (found[0].error !== undefined) throw new Error(found[0].error);
  });
});
