/** metrics.jsonl as tests compare it. */
import { readFileSync } from 'node:fs';

/** Its lines without the time that steps took, the one thing that differs between equal runs. */
export function readMetrics(path: string): Record<string, number>[] {
  const lines = readFileSync(path, 'utf8').trim().split('\n');
  return lines.map((line) => {
    const { seconds: _, tokens_per_second: __, ...metrics } = JSON.parse(line) as Record<string, number>;
    return metrics;
  });
}
