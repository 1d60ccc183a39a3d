/** Damaged inputs of every kind: what is accepted means what it says, all else is refused with its place. */
import { describe } from 'vitest';
import { checkCaches } from './caches.ts';
import { checkCorpus } from './corpus.ts';

describe('damaged inputs are refused with their place, or mean what they say', () => checkCorpus(60));
describe('damaged caches give what was put in, or are made again', () => checkCaches(60));
