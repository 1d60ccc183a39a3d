/** The engine in a worker of its own; the page speaks to it through comlink, over the port that it sends first. */
import { expose } from 'comlink';
import { browserRuntime } from '../../src/index.ts';
import { Engine } from './engine.ts';
import { privateFolder } from './private-files.ts';

const engine = new Engine(browserRuntime(), privateFolder('run'));
addEventListener('message', ({ data }: MessageEvent<MessagePort>) => expose(engine, data), { once: true });
