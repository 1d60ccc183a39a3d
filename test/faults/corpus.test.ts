/** Damaged inputs of every kind: what is accepted means what it says, all else is refused with its place. */
import { describe } from 'vitest';
import { checkCorpus } from './corpus.ts';

describe('damaged inputs are refused with their place, or mean what they say', () => checkCorpus(60));
