/**
 * What each place has of its own: SwiftShader's compiler, the browser's, Deno's WebGPU, tensor cores. All other tests run in
 * Node on lavapipe; Chromium runs whole models on SwiftShader. conformance.long.test.ts runs every case in every place.
 */
import type { AdapterName } from '../support/adapters.ts';
import type { Scope } from './cases.ts';
import { describeTargets } from './describe-targets.ts';
import { targets } from './targets.ts';

const scopes = [
  ['swiftshader', 'ops'],
  ['chromium', 'end to end'],
  ['deno', 'end to end'],
  ['lavapipe-matrices', 'tensor cores'],
] as const satisfies readonly (readonly [AdapterName, Scope])[];

for (const [place, scope] of scopes)
  describeTargets(
    targets.filter(({ needs }) => needs === place),
    scope,
  );
