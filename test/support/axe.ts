/** What a page has against it for people who read it otherwise, by axe-core. */
import AxeBuilder from 'axe-core';
import type { Page } from 'playwright-core';

/**
 * Violations that axe calls serious or critical, as 'rule: the first element'.
 * @param rules only these; default all
 */
export async function violationsOf(page: Page, rules?: readonly string[]): Promise<string[]> {
  const only = rules === undefined ? '' : `runOnly: ${JSON.stringify(rules)},`;
  // The page's policy forbids scripts of others: axe goes in as the driver's own.
  const found = await page.evaluate(
    `(() => { ${AxeBuilder.source}; return axe.run(document, { ${only} resultTypes: ['violations'] }); })()`,
  );
  const { violations } = found as {
    violations: { id: string; impact: string; nodes: { html: string }[] }[];
  };
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes[0].html}`);
}
