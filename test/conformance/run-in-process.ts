/** Runs the cases in this process, Node or Deno, and prints a JSON line per case, then one for the adapter. */
import { detectRuntime } from '../../src/runtime/index.ts';
import { runCases } from './cases.ts';

const runtime = await detectRuntime();
const steps = Number(process.argv[2]);
const report = await runCases(runtime, steps, (result) => console.log(JSON.stringify(result)));
console.log(JSON.stringify(report));
