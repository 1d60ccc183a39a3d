/** Prints 'PASSED FAILED' of reports by `ci-reporter.mjs`, and what failed to the error stream. No tests are a failure. */
import * as fs from 'node:fs';

/** Passed tests and failures of one report. */
function count(path) {
  if (!fs.existsSync(path)) return [0, failed([`vitest did not end: ${path} was not written`])];
  const { passed, skipped, failures } = JSON.parse(fs.readFileSync(path, 'utf8'));
  for (const name of skipped) console.error(`skipped: ${name}`);
  return [passed, failed(passed === 0 ? ['no test passed', ...failures] : failures)];
}

function failed(lines) {
  for (const line of lines) console.error(`failed: ${line}`);
  return lines.length;
}

const counts = process.argv.slice(2).map(count);
console.log([0, 1].map((i) => counts.reduce((sum, pair) => sum + pair[i], 0)).join(' '));
