/**
 * The conformance cases on this machine's adapter, as a count and the failures; with tensor cores their long list as well.
 * Arguments: a file that each case is appended to as a line of JSON, and --quick for the short list.
 */
import { appendFileSync } from 'node:fs';
import { Gpu } from '../../src/engine.ts';
import { detectRuntime } from '../../src/index.ts';
import type { CaseResult } from './case.ts';
import { runCases, type Scope } from './cases.ts';

const [lines, quick] = process.argv.slice(2);
const runtime = await detectRuntime();
const gpu = await Gpu.open(runtime);
const hasMatrices = gpu.profile.matrices !== undefined && !gpu.isCpu;
gpu.close();

let passed = 0;
let failed = 0;
function count(result: CaseResult): void {
  if (lines !== undefined) appendFileSync(lines, `${JSON.stringify(result)}\n`);
  if (result.error === undefined) passed++;
  else {
    failed++;
    console.log(`${result.group}: ${result.name}\n  ${result.error}`);
  }
}

const scopes: readonly Scope[] =
  quick === '--quick' ? ['short', 'tensor cores'] : hasMatrices ? ['long heads', 'full'] : ['full'];
for (const scope of scopes) {
  const { adapter, driver } = await runCases(runtime, scope, count);
  console.log(`${adapter} (${driver}), ${scope} list: ${passed} passed, ${failed} failed`);
}
process.exitCode = failed === 0 ? 0 : 1;
