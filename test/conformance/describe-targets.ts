/** Every conformance case as a test, in each of some places. */
import { beforeAll, describe, expect, it } from 'vitest';
import { hasAdapter } from '../support/adapters.ts';
import { casesOf, type Scope } from './cases.ts';
import type { Target, TargetReport } from './targets.ts';

export function describeTargets(targets: readonly Target[], scope: Scope): void {
  describe.each(targets)('$name', (target) => {
    const isHere = hasAdapter(target.needs);
    let report: TargetReport;
    beforeAll(async () => {
      if (isHere) report = await target.run(scope);
    }, 3_600_000);

    it.skipIf(!isHere).each(casesOf(scope).map((c) => [c.group, c.name]))('%s: %s', (group, name) => {
      const found = report.results.filter((result) => result.group === group && result.name === name);
      expect(found).toHaveLength(1);
      if (found[0].error !== undefined) throw new Error(found[0].error);
    });
  });
}
