#!/usr/bin/env node
// The command line: the build where this is the installed package, or a clone that has been built; else the TypeScript sources.
import { existsSync } from 'node:fs';
import { become, chosenNode } from '../scripts/own-loader.mjs';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`Node ${process.versions.node} is too old: prefgrad needs Node 20.19 or later.`);
  process.exit(2);
}
// Where the only adapter needs a C library of its own, this process becomes a node that has it.
const node = chosenNode();
if (node !== undefined) console.error(`prefgrad: ${await become(node)}`);
const sources = new URL('../src/cli/main.ts', import.meta.url);
const isBuilt = !existsSync(sources) || (await import('../scripts/built.mjs')).isBuilt();
if (isBuilt) await import('../dist/cli.js');
else await runSources();

async function runSources() {
  try {
    // The tsconfig.json of the directory that the user happens to be in has no say here.
    const { register } = await import('tsx/esm/api');
    register({ tsconfig: false });
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    console.error('The npm packages of prefgrad are missing. Install them with: npm run setup');
    process.exit(2);
  }
  await import(sources.href);
}
