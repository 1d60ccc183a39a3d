/** The build that is published, in a page that a plain web server serves. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { hasAdapter, launchChromium } from '../support/adapters.ts';
import { serve } from '../support/serve.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

beforeAll(() => {
  const { status, stderr } = spawnSync('npm', ['run', '--silent', 'build'], { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
});

describe('examples/browser-minimal.html', () => {
  it.skipIf(!hasAdapter('chromium'))('trains in a page', async () => {
    const server = await serve(root);
    const browser = await launchChromium();
    try {
      const page = await browser.newPage();
      const errors: string[] = [];
      page.on('pageerror', (error) => errors.push(String(error)));
      await page.goto(`${server.origin}/examples/browser-minimal.html`);
      await page
        .getByText(/trained: \d+ bytes/)
        .waitFor({ timeout: 280_000 })
        .catch((error: unknown) => {
          throw new Error([...errors, String(error)].join('\n'));
        });
      const text = await page.locator('#log').innerText();
      const losses = [...text.matchAll(/step \d+: loss ([\d.]+)/g)].map((match) => Number(match[1]));
      expect(losses).toHaveLength(5);
      expect(losses[0]).toBeCloseTo(Math.LN2, 4);
      expect(losses[4]).toBeLessThan(losses[0] - 0.05);
    } finally {
      await browser.close();
      await server.close();
    }
  });
});
