/** The same cases in Node on each adapter, in Deno and in the browser. conformance.long.test.ts runs the full list. */
import { describeTargets } from './describe-targets.ts';
import { targets } from './targets.ts';

describeTargets(targets, 'short');
