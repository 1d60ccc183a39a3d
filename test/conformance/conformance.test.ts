/** The same cases in Node on each adapter, in Deno and in the browser. "npm run conformance" runs them with more steps. */
import { describeTargets } from './describe-targets.ts';
import { targets } from './targets.ts';

describeTargets(targets, 4);
