import { describe } from 'vitest';
import { checkCorpus } from './corpus.ts';

describe('thousands of damaged inputs', () => checkCorpus(1500));
