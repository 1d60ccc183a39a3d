/** The conformance cases on this machine's adapter, as a count and the failures. */
import { detectRuntime } from '../../src/index.ts';
import { runCases } from './cases.ts';

let passed = 0;
let failed = 0;
const report = await runCases(await detectRuntime(), 'full', ({ group, name, error }) => {
  if (error === undefined) passed++;
  else {
    failed++;
    console.log(`${group}: ${name}\n  ${error}`);
  }
});
console.log(`${report.adapter} (${report.driver}): ${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
