/** Twenty steps with everything that makes them fast, against twenty without any of it. */
import { describeTechniques } from './techniques.ts';

describeTechniques(20);
