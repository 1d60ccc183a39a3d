/** `prefgrad view`: what is served, to whom, and nothing else. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { viewFiles } from '../../src/cli/view/view-files.ts';
import { serveView, type ViewServer } from '../../src/cli/view/view-server.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-view-'));
const run = join(folder, 'run');
const put = (path: string, text: string) => {
  mkdirSync(join(folder, path, '..'), { recursive: true });
  writeFileSync(join(folder, path), text);
};

put('secret.txt', 'secret');
put('scores.jsonl', '{}');
put('other/scores.jsonl', '{"other": 1}');
put('run/metrics.jsonl', '{"step": 1}');
put('run/.lock', '');
put('run/checkpoint-5/config.json', '{}');
put('run/checkpoint-5/optimizer.safetensors', 'moments');
put('run/checkpoint-5/model.safetensors', '0123456789');
put('base/config.json', '{}');
put('base/model.safetensors', 'weights');
put('lora/model/adapter_config.json', JSON.stringify({ base_model_name_or_path: join(folder, 'base') }));

describe('what is served', () => {
  it('is every file of the sources that a page can show, by names that do not collide', () => {
    const files = viewFiles([run, join(folder, 'scores.jsonl')], join(folder, 'other/scores.jsonl'));
    expect([...files.keys()]).toEqual([
      'run/checkpoint-5/config.json',
      'run/checkpoint-5/model.safetensors',
      'run/metrics.jsonl',
      'scores.jsonl',
      'scores-2.jsonl',
    ]);
  });

  it('has the base of an adapter beside it, or says where it was looked for', () => {
    const files = viewFiles([join(folder, 'lora')], undefined);
    expect([...files.keys()]).toEqual([
      'lora/model/adapter_config.json',
      'lora/base/config.json',
      'lora/base/model.safetensors',
    ]);
    put('alone/adapter_config.json', '{"base_model_name_or_path": "meta/none"}');
    expect(() => viewFiles([join(folder, 'alone')], undefined)).toThrow(
      /"meta\/none" is not a model directory/,
    );
    expect(() => viewFiles([join(folder, 'nope')], undefined)).toThrow(/nope: there is no such file/);
  });
});

describe('the server', () => {
  let server: ViewServer;
  let base: string;
  const status = async (path: string, init?: RequestInit) => (await fetch(new URL(path, base), init)).status;

  beforeAll(async () => {
    const page = new Map([['index.html', join(folder, 'scores.jsonl')]]);
    server = await serveView(page, viewFiles([run], undefined), 0);
    base = server.url;
  });
  afterAll(async () => {
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('gives the page, the list and its files, whole or by range', async () => {
    const token = new URL(base).searchParams.get('session');
    expect(await status('/')).toBe(200);
    const list = (await (await fetch(new URL(`/session/${token}/index.json`, base))).json()) as {
      files: string[];
    };
    expect(list.files).toContain('run/checkpoint-5/model.safetensors');
    const weights = new URL(`/session/${token}/files/run/checkpoint-5/model.safetensors`, base);
    expect(await (await fetch(weights)).text()).toBe('0123456789');
    const part = await fetch(weights, { headers: { range: 'bytes=2-4' } });
    expect([part.status, await part.text()]).toEqual([206, '234']);
    expect((await fetch(weights, { headers: { range: 'bytes=90-' } })).status).toBe(416);
  });

  it('gives nothing without the token, nothing beyond the list, and takes nothing', async () => {
    const token = new URL(base).searchParams.get('session');
    for (const path of [
      '/session/',
      '/session/0000/index.json',
      `/session/${token}/`,
      `/session/${token}/files/`,
      `/session/${token}/files/run/`,
      `/session/${token}/files/run/checkpoint-5/optimizer.safetensors`,
      `/session/${token}/files/..%2fsecret.txt`,
      `/session/${token}/files/run/../../secret.txt`,
      '/%',
    ])
      expect([path, await status(path)]).toEqual([path, 404]);
    expect(await status('/', { method: 'POST' })).toBe(405);
  });

  it('refuses a name that is not this machine’s, as a rebound site would send', async () => {
    const { port } = new URL(base);
    const answer = await new Promise<number | undefined>((done) => {
      request({ port, host: '127.0.0.1', headers: { host: 'evil.example' } }, ({ statusCode }) =>
        done(statusCode),
      ).end();
    });
    expect(answer).toBe(403);
  });

  it('says when its port is taken', async () => {
    const { port } = new URL(base);
    await expect(serveView(new Map(), new Map(), Number(port))).rejects.toThrow(
      `--port ${port}: another program`,
    );
  });
});
