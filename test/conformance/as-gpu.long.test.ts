/** The conformance cases by the kernels that GPUs take, on CPU adapters of several subgroup sizes, with memory poisoned. */
import { describeTargets } from './describe-targets.ts';
import { asGpu } from './targets.ts';

describeTargets(asGpu, 'full');
