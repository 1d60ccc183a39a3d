/**
 * Fails unless everything in PREFGRAD_REQUIRE (or the arguments) works: 'lavapipe', 'swiftshader', 'deno', 'chromium',
 * 'mpi'. Where that variable is set, tests may not be skipped for want of an adapter, and this says so first.
 */
import { spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LAVAPIPE_ICD, MPIRUN, probeAdapter, SWIFTSHADER_ICD } from './install-adapter.mjs';

const DENO = fileURLToPath(new URL('../node_modules/deno/bin.cjs', import.meta.url));
const ASK = 'const a = await navigator.gpu?.requestAdapter(); const i = a?.info;';
const ANSWER = `a ? [i.vendor, i.architecture, i.device, i.description].filter((s) => s).join(' ') : ''`;

const PROBES = {
  lavapipe: () => probeAdapter(LAVAPIPE_ICD),
  swiftshader: () => probeAdapter(SWIFTSHADER_ICD),
  deno: probeDeno,
  chromium: probeChromium,
  mpi: probeMpi,
};

function probeMpi() {
  const { status, stdout } = spawnSync(MPIRUN, ['--version'], { encoding: 'utf8' });
  return { found: status === 0, name: (stdout ?? '').split('\n')[0], reason: 'there is no Open MPI' };
}

function probeDeno() {
  const env = { ...process.env, VK_ICD_FILENAMES: LAVAPIPE_ICD, VK_DRIVER_FILES: LAVAPIPE_ICD };
  const script = `${ASK} console.log(${ANSWER})`;
  const result = spawnSync(process.execPath, [DENO, 'eval', script], {
    env,
    encoding: 'utf8',
    timeout: 120_000,
  });
  const name = (result.stdout ?? '').trim();
  return { found: name !== '', name, reason: result.stderr || 'Deno found no adapter' };
}

/** A page on 127.0.0.1 (WebGPU wants a secure context) asks for the adapter and posts its name back. */
function probeChromium() {
  const program = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
    fs.existsSync,
  );
  if (program === undefined) return { found: false, reason: 'there is no chromium' };
  const page = `<script type="module">${ASK} await fetch('/', { method: 'POST', body: ${ANSWER} })</script>`;
  const profile = fs.mkdtempSync(join(tmpdir(), 'prefgrad-chromium-'));
  return new Promise((resolve) => {
    const server = createServer((request, response) => {
      if (request.method !== 'POST') return response.setHeader('content-type', 'text/html').end(page);
      let name = '';
      request.on('data', (part) => {
        name += part;
      });
      request.on('end', () => finish({ found: name !== '', name, reason: 'Chromium found no adapter' }));
      response.end();
    });
    let browser;
    const timer = setTimeout(
      () => finish({ found: false, reason: 'Chromium did not answer in 60 s' }),
      60_000,
    );
    const finish = (result) => {
      clearTimeout(timer);
      server.close();
      server.closeAllConnections();
      browser.on('exit', () => {
        fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
        resolve(result);
      });
      browser.kill('SIGTERM');
    };
    server.listen(0, '127.0.0.1', () => {
      const flags = [
        '--headless=new',
        '--no-sandbox',
        '--enable-unsafe-webgpu',
        '--use-webgpu-adapter=swiftshader',
      ];
      const url = `http://127.0.0.1:${server.address().port}/`;
      browser = spawn(program, [...flags, `--user-data-dir=${profile}`, url], { stdio: 'ignore' });
      browser.on('error', (error) => resolve({ found: false, reason: error.message }));
    });
  });
}

const wanted =
  process.argv.length > 2 ? process.argv.slice(2) : (process.env.PREFGRAD_REQUIRE ?? '').split(',');
for (const name of wanted.filter((w) => w !== '')) {
  const probe = PROBES[name];
  const ask = async () => (probe === undefined ? { found: false, reason: 'no such adapter' } : await probe());
  let result = await ask();
  if (!result.found) {
    // The first start on a cold disk can take longer than a browser, or this probe, waits.
    console.log(`${name}: ${result.reason}; asked again`);
    result = await ask();
  }
  console.log(`${name}: ${result.found ? result.name : `MISSING, ${result.reason}`}`);
  if (!result.found) process.exitCode = 1;
}
