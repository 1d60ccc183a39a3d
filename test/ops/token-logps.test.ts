import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { picks } from '../../src/data/occurrences.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { tapeFor } from '../../src/ops/index.ts';
import { gatherRows } from '../../src/ops/indexing/gather-rows.ts';
import { chunkSize } from '../../src/ops/logps/logit-chunks.ts';
import { tokenLogps } from '../../src/ops/logps/token-logps.ts';
import { checkDirections, checkFixture, checkOp, runOp } from '../support/check-op.ts';
import { expectClose, expectSameBits } from '../support/close.ts';
import { fixturesOf, type OpFixture } from '../support/fixtures.ts';
import { openGpu, testGpu } from '../support/gpu.ts';
import { record } from '../support/record.ts';
import { inBothFormsOfRows } from '../support/rows.ts';
import { gridIndices, gridValues, type HostTensor, Workbench } from '../support/workbench.ts';

let gpu: Gpu;
let small: Gpu;
beforeAll(async () => {
  [gpu, small] = await Promise.all([testGpu(), openGpu({ maxBindingBytes: 2 ** 20 })]);
});
afterAll(() => small.close());

const targetsOf = (targets: ArrayLike<number>, softcap?: number) => (bench: Workbench) => ({
  targets: bench.indices('targets', [targets.length], targets),
  softcap,
});

const softcapOf = ({ attrs }: OpFixture) => (attrs.softcap as number | null) ?? undefined;

inBothFormsOfRows(
  () => [gpu, small],
  () => {
    describe("token_logps is PyTorch's log_softmax of hidden @ headᵀ, gathered", () => {
      it.each(fixturesOf('linear_logp').map((f) => [f.name, f] as const))('%s', async (_name, fixture) => {
        await checkFixture(gpu, fixture, ['hidden', 'weight'], ['logp'], {
          op: tokenLogps,
          attributes: targetsOf(fixture.inputs.targets.data, softcapOf(fixture)),
        });
      });

      // The gradient's direction is made in the forward pass then.
      const wide = fixturesOf('linear_logp').filter(({ inputs }) => inputs.hidden.shape[1] % 4 === 0);
      it.each(wide.map((f) => [f.name, f] as const))('%s, with a frozen head', async (_name, fixture) => {
        await checkFixture(gpu, fixture, ['hidden', 'weight'], ['logp'], {
          op: tokenLogps,
          attributes: targetsOf(fixture.inputs.targets.data, softcapOf(fixture)),
          frozen: ['weight'],
        });
      });

      const [fixture] = fixturesOf('linear_logp').filter((f) => f.name === 'V=257');
      it.each(['f16', 'bf16'] as const)('V=257, head in %s', async (weight) => {
        await checkFixture(gpu, fixture, ['hidden', 'weight'], ['logp'], {
          op: tokenLogps,
          attributes: targetsOf(fixture.inputs.targets.data),
          dtypes: { weight },
        });
      });

      it.each(fixturesOf('linear_logp_rows').map((f) => [f.name, f] as const))(
        '%s: the last prompt token predicts the first token of every branch',
        async (_name, { inputs, outputs, grad_outputs, grad_inputs }) => {
          const bench = new Workbench(gpu);
          const [tokens, rows] = [inputs.hidden.shape[0], inputs.rows.shape[0]];
          const lists = picks(Uint32Array.from(inputs.rows.data), { tokens, rows, pairs: 1 });
          const gather = {
            rows: bench.indices('rows', [rows], inputs.rows.data),
            starts: bench.indices('starts', [tokens + 1], lists.starts),
            picks: bench.indices('picks', [rows], lists.picks),
          };
          const targets = bench.indices('targets', [rows], inputs.targets.data);
          const hidden = { ...bench.floats('hidden', inputs.hidden), requiresGrad: true };
          const head = { ...bench.floats('head', inputs.weight), requiresGrad: true };
          const dlogps = bench.floats('dlogps', grad_outputs?.logp ?? { shape: [0], data: [] });
          const results = await record(gpu, (recorder) => {
            const tape = tapeFor(recorder);
            const [taken] = tape.apply(gatherRows, [hidden], gather);
            const [logps] = tape.apply(tokenLogps, [taken, head], { targets });
            tape.backward(logps, dlogps);
            return [logps, tape.gradientOf(hidden), tape.gradientOf(head)].filter((t) => t !== undefined);
          });
          bench.free();
          const expected = [outputs.logp, grad_inputs?.hidden, grad_inputs?.weight];
          expected.forEach((tensor, i) => {
            expectClose(
              results[i],
              tensor?.data ?? [],
              1e-5,
              ['logps', 'd hidden', 'd head'][i],
              tensor?.shape,
            );
          });
        },
      );
    });

    describe('token_logps against finite differences', () => {
      it.each([
        ['plain', undefined],
        ['with a cap on the logits', 2],
      ])('%s', async (_name, softcap) => {
        const inputs = [gridValues(1, [5, 4]), gridValues(2, [11, 4])];
        await checkOp(gpu, { op: tokenLogps, inputs, attributes: targetsOf([0, 10, 3, 3, 7], softcap) });
      });

      it('over several chunks of rows and of the vocabulary, the last of each ragged', async () => {
        const chunk = chunkSize(gpu);
        const [rows, vocabulary] = [chunk.rows + 6, chunk.columns + 904];
        const targets = gridIndices(3, rows, vocabulary);
        targets.set([0, chunk.columns - 1, chunk.columns, vocabulary - 1]);
        const inputs = [gridValues(1, [rows, 4]), gridValues(2, [vocabulary, 4])];
        const c = { op: tokenLogps, inputs, attributes: targetsOf(targets), tolerance: 2e-5 };
        await checkDirections(gpu, c, 2);
      });
    });

    describe('token_logps with a frozen head', () => {
      it.each([
        ['plain', undefined],
        ['with a cap on the logits', 2],
      ])('%s, against finite differences', async (_name, softcap) => {
        const inputs = [gridValues(1, [5, 8]), gridValues(2, [11, 8])];
        const attributes = targetsOf([0, 10, 3, 3, 7], softcap);
        await checkOp(gpu, { op: tokenLogps, inputs, attributes, differentiate: [0] });
      });

      it('gives the gradient that a trained one gives, over chunks whose largest logits rise and fall, and shards', async () => {
        const chunk = chunkSize(gpu);
        const [rows, vocabulary, width] = [chunk.rows + 6, 3 * chunk.columns + 904, 64];
        const hidden = gridValues(1, [rows, width]);
        // Rows of the head grow and shrink, so that in one row the running maximum rises by hundreds.
        const grown = gridValues(2, [vocabulary, width]);
        const head = {
          shape: grown.shape,
          data: Float64Array.from(grown.data, (x, i) => x * (1 + 4 * Math.sin(i / width / 700) ** 2)),
        };
        const targets = gridIndices(3, rows, vocabulary);
        const dy = gridValues(4, [rows]);
        const run = async (on: Gpu, differentiate: readonly number[], count: number = rows) => {
          const bench = new Workbench(on);
          const first = ({ data }: HostTensor, length: number) =>
            Float64Array.from(data).slice(0, count * length);
          const inputs = [{ shape: [count, width], data: first(hidden, width) }, head];
          const attributes = targetsOf(targets.slice(0, count))(bench);
          const flowing = { shape: [count], data: first(dy, 1) };
          const { gradients } = await runOp(
            bench,
            tokenLogps,
            inputs,
            attributes,
            'inner',
            differentiate,
            flowing,
          );
          bench.free();
          return gradients[0] ?? new Float32Array(0);
        };
        const trained = await run(gpu, [0, 1]);
        expectClose(await run(gpu, [0]), trained, 1e-5, 'd hidden');
        // 1 MiB to a binding: the same head in seven shards, and rows enough for one chunk's scratch.
        const few = 96;
        expectClose(
          await run(small, [0], few),
          trained.slice(0, few * width),
          1e-5,
          'd hidden, head in shards',
        );
      });
    });

    describe('token_logps with a head longer than one binding', () => {
      it('gives the same bits: shards end where chunks end', async () => {
        const inputs = [gridValues(1, [7, 64], 0.5), gridValues(2, [5000, 64], 0.5)];
        const run = async (on: Gpu) => {
          const bench = new Workbench(on);
          const attributes = targetsOf([0, 4095, 4096, 4999, 2047, 2048, 17])(bench);
          const result = await runOp(
            bench,
            tokenLogps,
            inputs,
            attributes,
            'leaf',
            [0, 1],
            gridValues(3, [7]),
          );
          expect(bench.floats('head', inputs[1]).shards.length).toBe(on === small ? 2 : 1);
          bench.free();
          return [...result.outputs, ...result.gradients.filter((g) => g !== undefined)];
        };
        const [cut, whole] = [await run(small), await run(gpu)];
        whole.forEach((values, i) => {
          expectSameBits(cut[i], values, ['logps', 'd hidden', 'd head'][i]);
        });
      });
    });
  },
);
