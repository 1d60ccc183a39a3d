/**
 * Runs the cases in this process, Node or Deno, and prints a JSON line per case, then one for the adapter.
 * Arguments: optimizer steps, and 'matrices' for the cases of matrix-cases.ts in place of all others.
 */
import { detectRuntime } from '../../src/runtime/index.ts';
import { cases, runCases } from './cases.ts';
import { matrixCases } from './matrix-cases.ts';

const runtime = await detectRuntime();
const steps = Number(process.argv[2]);
const wanted = process.argv[3] === 'matrices' ? matrixCases : cases;
const report = await runCases(runtime, steps, (result) => console.log(JSON.stringify(result)), wanted);
console.log(JSON.stringify(report));
