/** The engine in a worker of its own; the page speaks to it through comlink. */
import { expose } from 'comlink';
import { browserRuntime } from '../../src/index.ts';
import { Engine } from './engine.ts';

expose(new Engine(browserRuntime()));
