/** The long list for tensor cores, where they can be had without a GPU. */
import { describeTargets } from './describe-targets.ts';
import { withTensorCores } from './targets.ts';

describeTargets(withTensorCores, 'matrices');
