#!/usr/bin/env node
// Runs the TypeScript sources as they are: tsx translates each file when it is first loaded.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`Node ${process.versions.node} is too old: prefgrad needs Node 20.19 or later.`);
  process.exit(2);
}
try {
  // The tsconfig.json of the directory that the user happens to be in is none of our business.
  const { register } = await import('tsx/esm/api');
  register({ tsconfig: false });
} catch (error) {
  if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
  console.error('The npm packages of prefgrad are missing. In a clone, install them with: npm run setup');
  process.exit(2);
}
await import('../src/cli/main.ts');
