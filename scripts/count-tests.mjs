/** Prints 'PASSED FAILED' of vitest's JSON reports. A file that could not be loaded, and a run without tests, fail. */
import * as fs from 'node:fs';

/** Passed and failed tests of one report; what was skipped goes to the error stream. */
function count(path) {
  let report;
  try {
    report = JSON.parse(fs.readFileSync(path, 'utf8'));
  } catch {
    report = { numPassedTests: 0, numFailedTests: 0, testResults: [] };
  }
  const broken = report.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  );
  for (const file of broken) console.error(`could not be run: ${file.name}`);
  for (const file of report.testResults) {
    for (const test of file.assertionResults) {
      if (test.status === 'pending' || test.status === 'skipped') console.error(`skipped: ${test.fullName}`);
    }
  }
  const none = report.numPassedTests === 0 ? 1 : 0;
  return [report.numPassedTests, report.numFailedTests + broken.length + none];
}

const counts = process.argv.slice(2).map(count);
console.log([0, 1].map((i) => counts.reduce((sum, pair) => sum + pair[i], 0)).join(' '));
