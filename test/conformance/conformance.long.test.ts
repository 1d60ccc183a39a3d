/** Every conformance case in every place, and the first twenty steps of the quickstart. */
import { describeTargets } from './describe-targets.ts';
import { targets } from './targets.ts';

describeTargets(targets, 'full');
