/** Prints 'PASSED FAILED' of a vitest JSON report. A file that could not be loaded, and a run without tests, fail. */
import * as fs from 'node:fs';

let report;
try {
  report = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
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
console.log(`${report.numPassedTests} ${report.numFailedTests + broken.length + none}`);
