/** The worker's entry: the engine, behind comlink. */
import { expose } from 'comlink';
import { browserRuntime } from '../../src/runtime/browser.ts';
import { Engine } from './engine.ts';

expose(new Engine(browserRuntime()));
