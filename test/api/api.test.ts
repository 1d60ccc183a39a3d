/** What `import ... from 'prefgrad'` gives, used as its documentation says. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  createRun,
  generate,
  InputError,
  InputErrors,
  loadModel,
  score,
  scoreFile,
} from '../../src/index.ts';

const model = 'examples/stories260K';
const data = 'examples/quickstart/train.jsonl';
const folder = mkdtempSync(join(tmpdir(), 'prefgrad-api-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('createRun', () => {
  it('takes steps as it is iterated, goes on after a break, and saves a model that generates', async () => {
    const run = await createRun({
      model,
      data: { train: data, max_length: 96, max_rows: 16 },
      objective: 'simpo',
      training: { max_steps: 3, per_device_train_batch_size: 4, learning_rate: 1e-4 },
      output_dir: join(folder, 'run'),
    });
    const seen: number[] = [];
    for await (const { step, metrics } of run) {
      seen.push(step);
      expect(metrics.loss).toBeGreaterThan(0);
      if (step === 1) break;
    }
    expect(run.step).toBe(1);
    for await (const { step } of run) seen.push(step);
    expect(seen).toEqual([1, 2, 3]);
    expect(run.totalSteps).toBe(3);
    expect(await run.evaluate()).toEqual({});
    await run.save(join(folder, 'tuned'));
    await run.close();
    const [answer] = await generate({ model: join(folder, 'tuned'), prompts: ['Once'], max_new_tokens: 4 });
    expect(answer).not.toBe('');
  });

  it('names everything that is wrong with its options at once', async () => {
    const wrong = createRun({ model, data, objective: 'dqo', training: { learning_rate: -1 } });
    await expect(wrong).rejects.toThrow(InputErrors);
    await expect(wrong).rejects.toThrow(/objective.name: there is no objective "dqo"/);
    await expect(wrong).rejects.toThrow(/training\.learning_rate/);
    expect(existsSync('trainer_output')).toBe(false);
  });
});

describe('loadModel', () => {
  it('continues texts in order, the same in any batch, and tells pieces as they come', async () => {
    const loaded = await loadModel({ model });
    try {
      const options = { max_new_tokens: 8, temperature: 0.8, seed: 3 };
      const pieces = ['', ''];
      const prompts = ['Once upon a time', 'The dog'];
      const both = await loaded.generate(prompts, {
        ...options,
        onText(text, i) {
          pieces[i] += text;
        },
      });
      expect(pieces).toEqual(both);
      expect(await loaded.generate(prompts.slice(0, 1), options)).toEqual(both.slice(0, 1));
      expect(loaded.decode(loaded.encode('The dog'))).toBe('The dog');
    } finally {
      await loaded.close();
    }
  });

  it('names the prompt that it cannot take', async () => {
    const long = 'Once upon a time '.repeat(400);
    const wrong = generate({ model, prompts: ['Once', long] });
    await expect(wrong).rejects.toThrow(InputError);
    await expect(wrong).rejects.toThrow(/^Prompt 2: /);
  });
});

describe('score', () => {
  it('gives the records that scoreFile writes', async () => {
    const rows = [];
    for await (const row of score({ model, reference: model, data, max_rows: 3, objective: 'dpo' }))
      rows.push(row);
    expect(rows).toHaveLength(3);
    const out = join(folder, 'scores.jsonl');
    const options = { model, reference: model, data, max_rows: 3, objective: 'dpo' };
    expect(await scoreFile({ ...options, out })).toMatchObject({ rows: 3, finished: true });
    const written = readFileSync(out, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(JSON.parse(JSON.stringify(rows))).toEqual(written);
    expect(written[0].margin).toBe(0);
  });

  it('may be left before the end', async () => {
    for await (const row of score({ model, data })) {
      expect(row.index).toBe(0);
      break;
    }
  });
});
