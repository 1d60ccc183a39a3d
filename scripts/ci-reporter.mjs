/**
 * A reporter of vitest that writes to the file $CI_REPORT what `count-tests.mjs` reads: the number of passed tests, and
 * a line for each failure. Errors outside of any test are failures too: vitest's own JSON report leaves them out.
 */
import * as fs from 'node:fs';

/** What failed of a file: its tests, or the file itself if none of them can be blamed. */
function failuresOf(file) {
  const tests = [...file.children.allTests('failed')];
  const failed = tests.length > 0 || file.ok() ? tests : [file];
  return failed.map((task) => {
    const errors = task.type === 'test' ? task.result().errors : task.errors();
    const name = task.type === 'test' ? ` > ${task.fullName}` : '';
    return `${file.relativeModuleId}${name}: ${firstLine(errors[0])}`;
  });
}

const firstLine = (error) => String(error?.message ?? 'no message').split('\n', 1)[0];

export default class CiReporter {
  onTestRunEnd(files, unhandledErrors) {
    const tests = files.flatMap((file) => [...file.children.allTests()]);
    const withState = (state) => tests.filter((test) => test.result().state === state);
    const report = {
      passed: withState('passed').length,
      skipped: withState('skipped').map((test) => test.fullName),
      failures: [
        ...files.flatMap(failuresOf),
        ...unhandledErrors.map((error) => `outside of any test: ${firstLine(error)}`),
      ],
    };
    fs.writeFileSync(process.env.CI_REPORT, JSON.stringify(report));
  }
}
