import { describe } from 'vitest';
import { checkCaches } from './caches.ts';
import { checkCorpus } from './corpus.ts';

describe('thousands of damaged inputs', () => checkCorpus(1500));
describe('thousands of damaged caches', () => checkCaches(1500));
