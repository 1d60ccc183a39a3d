/** npm run conformance: all cases on every adapter of this machine, and docs/conformance.md with what came of it. */
import { writeFileSync } from 'node:fs';
import { asGpu, type TargetReport, targets } from '../test/conformance/targets.ts';
import { hasAdapter } from '../test/support/adapters.ts';

const reports: { readonly name: string; readonly report: TargetReport | undefined }[] = [];
for (const { name, needs, run } of [...targets, ...asGpu]) {
  const report = hasAdapter(needs) ? await run('full') : undefined;
  reports.push({ name, report });
  const failed = report?.results.filter(({ error }) => error !== undefined) ?? [];
  console.log(
    report === undefined
      ? `${name}: not on this machine`
      : `${name}: ${report.results.length - failed.length} passed, ${failed.length} failed`,
  );
  for (const { group, name: which, error } of failed) console.log(`  ${group}: ${which}\n    ${error}`);
  if (failed.length > 0) process.exitCode = 1;
}

const groups = [...new Set(reports.flatMap(({ report }) => report?.results.map((r) => r.group) ?? []))];
const cell = (report: TargetReport | undefined, group: string): string => {
  const own = report?.results.filter((r) => r.group === group);
  if (own === undefined) return 'not run';
  return `${own.filter(({ error }) => error === undefined).length} of ${own.length}`;
};
const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
const lines = [
  '# Conformance',
  '',
  `The cases of \`test/conformance\` on every adapter of one machine, as \`npm run conformance\` found them on ${new Date().toISOString().slice(0, 10)};`,
  `the training case runs 20 optimizer steps and compares losses with Node on lavapipe to 1e-4. Written by \`scripts/conformance.ts\`.`,
  '',
  row(['where', 'adapter', 'driver', ...groups]),
  row(['---', '---', '---', ...groups.map(() => '---')]),
  ...reports.map(({ name, report }) =>
    row([
      name,
      report?.adapter ?? 'not on this machine',
      report?.driver || '-',
      ...groups.map((g) => cell(report, g)),
    ]),
  ),
  '',
  ...reports.flatMap(({ name, report }) =>
    (report?.results ?? [])
      .filter(({ error }) => error !== undefined)
      .map(({ group, name: which, error }) => `* ${name}, ${group}: ${which}: ${error}`),
  ),
];
writeFileSync('docs/conformance.md', `${lines.join('\n').trimEnd()}\n`);
