/** Shows how far scoring is: one line that is rewritten on a terminal, a line every ten seconds anywhere else. */
import type { Screen } from './progress.ts';

interface Progress {
  readonly rows: number;
  readonly scored: number;
  readonly tokens: number;
}

const EVERY_MS = 10_000;

export function scoreProgress(screen: Screen): { show(progress: Progress): void; close(): void } {
  const { terminal } = screen;
  const started = performance.now();
  let last = started;
  let isDrawn = false;
  return {
    show({ rows, scored, tokens }) {
      const now = performance.now();
      const seconds = Math.max(1e-3, (now - started) / 1000);
      const text = `${rows} rows, ${(scored / seconds).toFixed(1)} rows/s, ${Math.round(tokens / seconds)} tokens/s`;
      if (terminal !== undefined) {
        terminal.write(`\r\u001b[K${text}`);
        isDrawn = true;
      } else if (now - last >= EVERY_MS) {
        screen.write(`${text}\n`);
        last = now;
      }
    },
    close() {
      if (isDrawn) terminal?.write('\n');
      isDrawn = false;
    },
  };
}
