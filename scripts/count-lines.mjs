/**
 * npm run count-lines [-- COMMIT...]: lines of code in src/ and kernels/, without blank lines and comments, by folder; of
 * the working tree, or of commits.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { argv } from 'node:process';

const git = (...args) => execFileSync('git', args, { encoding: 'utf8', maxBuffer: 1 << 28 });

/** Lines that are neither blank nor comment; a line with code and a comment counts. */
function countCode(source) {
  let inBlock = false;
  let lines = 0;
  for (const line of source.split('\n')) {
    const text = line.trim();
    if (inBlock) inBlock = !text.includes('*/');
    else if (text.startsWith('/*')) inBlock = !text.includes('*/');
    else if (text !== '' && !text.startsWith('//')) lines++;
  }
  return lines;
}

function count(commit) {
  const roots = ['src', 'kernels'];
  const listed = commit ? git('ls-tree', '-r', '--name-only', commit, ...roots) : git('ls-files', ...roots);
  const folders = new Map();
  for (const path of listed.trim().split('\n')) {
    if (!/\.(ts|wgsl)$/.test(path)) continue;
    const source = commit ? git('show', `${commit}:${path}`) : readFileSync(path, 'utf8');
    const [root, folder] = path.split('/');
    const name = root === 'kernels' || folder.endsWith('.ts') ? root : `${root}/${folder}`;
    folders.set(name, (folders.get(name) ?? 0) + countCode(source));
  }
  return folders;
}

const commits = argv.length > 2 ? argv.slice(2) : [undefined];
for (const commit of commits) {
  const folders = count(commit);
  const total = [...folders.values()].reduce((sum, lines) => sum + lines, 0);
  console.log(`${commit ?? 'working tree'}: ${total} lines of code`);
  for (const [name, lines] of [...folders].sort())
    console.log(`  ${name.padEnd(20)} ${String(lines).padStart(6)}`);
}
