/** The first steps of the check in techniques.long.test.ts. */
import { describeTechniques } from './techniques.ts';

describeTechniques(6);
