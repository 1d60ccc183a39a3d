/** The long list for tensor cores, where they can be had without a GPU. */
import { describeTargets } from './describe-targets.ts';
import { matrixCases } from './matrix-cases.ts';
import { matrices } from './targets.ts';

describeTargets([matrices], 1, matrixCases);
