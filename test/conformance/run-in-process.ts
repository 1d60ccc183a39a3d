/** Runs the cases in this process, Node or Deno, and prints a JSON line per case, then one for the adapter. */
import { detectRuntime } from '../../src/runtime/index.ts';
import { runCases, type Scope } from './cases.ts';

const runtime = await detectRuntime();
const scope = process.argv[2] as Scope;
const report = await runCases(runtime, scope, (result) => console.log(JSON.stringify(result)));
console.log(JSON.stringify(report));
