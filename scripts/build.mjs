/**
 * `npm run build`: dist/, what is published, where it is not yet what the sources make. `--clean`, before publishing, also
 * removes what earlier builds left.
 */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isBuilt, stamped } from './built.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

if (process.argv.includes('--clean')) rmSync(join(ROOT, 'dist'), { recursive: true, force: true });
if (!isBuilt())
  stamped(() => {
    const args = [
      'node_modules/vite/bin/vite.js',
      'build',
      '-c',
      'vite.package.config.ts',
      '--logLevel',
      'error',
    ];
    const { status } = spawnSync(process.execPath, args, { cwd: ROOT, stdio: 'inherit' });
    if (status !== 0) process.exit(1);
  });
