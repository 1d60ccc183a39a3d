/** Runs the cases of ?scope= (cases.ts) in a page. Leaves results and adapter in window.conformance. */
import { browserRuntime } from '../../src/runtime/browser.ts';
import { fetchSource } from '../../src/runtime/web-sources.ts';
import type { CaseResult } from './case.ts';
import { caseFiles, runCases, type Scope } from './cases.ts';

const runtime = browserRuntime();
for (const path of caseFiles) runtime.files.add(path, await fetchSource(`/${path}`));
const scope = new URLSearchParams(location.search).get('scope') as Scope;
const results: CaseResult[] = [];
const finished = (outcome: object) => Object.assign(window, { conformance: { results, ...outcome } });
try {
  finished(await runCases(runtime, scope, (result) => results.push(result)));
} catch (error) {
  finished({ failure: String(error) });
}
