/**
 * npm run bench -- generate: decoding beside the adapter's copy limit, prefill, and whole texts beside transformers.js.
 *
 * The limit of a decoding step is that every weight is read once: bytes of the weights / bandwidth of a copy, which reads and
 * writes, so that the bytes it moves are twice those of the buffer.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { Engine, Gpu, type LoadedModel, loadModel } from '../../src/engine.ts';
import { bufferOf } from '../../src/gpu/index.ts';
import type { Runtime } from '../../src/index.ts';
import { elementCount } from '../../src/ops/index.ts';
import type { TextPeer } from '../peers/transformers.js';
import { writeRandomLlama } from '../random-llama.ts';
import { measured, type Row, reportOf } from '../report.ts';
import { median, pairedRatio, takeTurns } from '../timing.ts';

const STORIES = 'examples/stories260K';
/** What bench/peers/export_onnx.py made of STORIES. */
const ONNX = 'bench/peers/onnx/stories260K';
/** Llamas with seeded weights: 15M parameters on CPU adapters, 1B on GPUs. */
const SIZES = {
  cpu: { name: '15M', vocabulary: 32000, hidden: 288, inner: 768, layers: 6, heads: 6, kvHeads: 6 },
  gpu: { name: '1B', vocabulary: 128256, hidden: 2048, inner: 8192, layers: 16, heads: 32, kvHeads: 8 },
} as const;
const BATCHES = [1, 8, 64];
const NEW_TOKENS = 64;
/** Rounds of one row end after so many seconds, on adapters that take long. */
const ROW_SECONDS = 10;

/** @param only 'peer' or 'limit' */
export async function benchGenerate(runtime: Runtime, quick: boolean, only?: string) {
  const gpu = await Gpu.open(runtime);
  const rounds = quick ? 3 : 11;
  const rows: Row[] = [];
  if (only !== 'limit') rows.push(...(await besidePeer(gpu, rounds)));
  if (only !== 'peer') rows.push(...(await besideLimit(gpu, rounds)));
  const report = reportOf(gpu, rows);
  gpu.close();
  return report;
}

/** Prompts of one length, all different. */
function promptsOf(count: number, length: number, vocabulary: number): number[][] {
  return Array.from({ length: count }, (_, i) =>
    Array.from({ length }, (_, j) => (j === 0 ? 1 : 3 + ((7919 * (i + 1) * j) % (vocabulary - 3)))),
  );
}

/** Continues prompts greedily; texts do not end early. */
async function generate(
  engine: Engine,
  prompts: readonly number[][],
  maxTokens: number,
): Promise<number[][]> {
  const generations = prompts.map((prompt) => engine.submit({ prompt, maxTokens }));
  return Promise.all(
    generations.map(async (generation) => {
      const tokens: number[] = [];
      for await (const event of generation) if (event.kind === 'token') tokens.push(event.token);
      return tokens;
    }),
  );
}

async function besidePeer(gpu: Gpu, rounds: number): Promise<Row[]> {
  if (!existsSync(ONNX) || !existsSync('bench/peers/node_modules/@huggingface/transformers')) {
    console.log(`Without transformers.js: npm ci --prefix bench/peers --ignore-scripts, and
  /usr/bin/python3 bench/peers/export_onnx.py ${STORIES} ${ONNX}`);
    return [];
  }
  const { transformers } = await import('../peers/transformers.js');
  const peer = await transformers(`${process.cwd()}/${ONNX}`);
  const loaded = await loadModel(gpu, STORIES, { train: 'none', dtype: 'auto', positions: 256 });
  const rows: Row[] = [];
  for (const batch of BATCHES) {
    console.log(`beside ${peer.name}, batch ${batch}`);
    rows.push(measured(await comparePeer(gpu, loaded, peer, batch, rounds)));
  }
  loaded.free();
  return rows;
}

async function comparePeer(gpu: Gpu, { model }: LoadedModel, peer: TextPeer, batch: number, rounds: number) {
  const engine = new Engine(gpu, model, { maxSequences: batch, maxPositions: 256 });
  const prompts = promptsOf(batch, 5, model.config.vocabSize);
  const [ours, theirs] = [
    await generate(engine, prompts, NEW_TOKENS),
    await peer.generate(prompts, NEW_TOKENS),
  ];
  // Greedy texts part where two tokens are equally probable to rounding; most must be the same.
  const same = ours.filter((tokens, i) => tokens.join() === theirs[i].join()).length;
  const contenders = [
    { name: 'ours', run: async () => void (await generate(engine, prompts, NEW_TOKENS)) },
    { name: 'peer', run: async () => void (await peer.generate(prompts, NEW_TOKENS)) },
  ];
  const times = await takeTurns(contenders, rounds, ROW_SECONDS);
  await engine.close();
  const ratio = pairedRatio(times.peer, times.ours);
  const ours_ms = median(times.ours);
  const speed = (ms: number) => `${Math.round((1000 * batch * NEW_TOKENS) / ms)} tokens/s`;
  const goal = batch === 8 ? `; goal at least 2x: ${ratio.median >= 2 ? 'met' : 'missed'}` : '';
  return {
    work: `generate ${NEW_TOKENS} tokens each`,
    shape: `stories260K, batch ${batch}`,
    ours_ms,
    peer: peer.name,
    peer_ms: median(times.peer),
    ratio: ratio.median,
    checked: same > 0.9 * batch,
    note: `${speed(ours_ms)} against ${speed(median(times.peer))}; ${same} of ${batch} texts equal; 95% ${ratio.low.toFixed(2)} to ${ratio.high.toFixed(2)}${goal}`,
  };
}

async function besideLimit(gpu: Gpu, rounds: number): Promise<Row[]> {
  const size = SIZES[gpu.profile.kind];
  const folder = mkdtempSync(`${tmpdir()}/prefgrad-generate-`);
  try {
    await writeRandomLlama(folder, size, gpu.profile.kind === 'cpu' ? 'F32' : 'BF16');
    const loaded = await loadModel(gpu, folder, { train: 'none', dtype: 'auto', positions: 2048 });
    const bytes = weightBytes(loaded);
    const rows: Row[] = [];
    for (const batch of BATCHES) {
      console.log(`decoding, ${size.name}, batch ${batch}`);
      rows.push(measured(await decodeRow(gpu, loaded, size.name, bytes, batch, rounds)));
    }
    rows.push(measured(await prefillRow(gpu, loaded, size.name, rounds)));
    loaded.free();
    return rows;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What a decoding step reads: all weights but the embedding, of which it takes a row. */
function weightBytes({ weights, weight }: LoadedModel): number {
  return weights
    .filter(({ name }) => !name.includes('embed_tokens'))
    .reduce((sum, { name, shape }) => sum + elementCount(shape) * (weight(name).dtype === 'f32' ? 4 : 2), 0);
}

/** Milliseconds of one decoding step: the longer of two texts less the shorter. */
async function decodeRow(
  gpu: Gpu,
  { model }: LoadedModel,
  name: string,
  bytes: number,
  batch: number,
  rounds: number,
): Promise<Row> {
  const engine = new Engine(gpu, model, { maxSequences: batch, maxPositions: 256 });
  // The second token of a prompt is the first that is decoded: there is hardly a prompt to be computed.
  const prompts = promptsOf(batch, 2, model.config.vocabSize);
  const [short, long] = [2, 6];
  const from = gpu.memory.allocate('copy', bytes / 2, 'staging');
  const to = gpu.memory.allocate('copy', bytes / 2, 'staging');
  const alone = await generate(engine, prompts.slice(0, 1), long);
  const together = await generate(engine, prompts, long);
  const times = await takeTurns(
    [
      { name: 'short', run: async () => void (await generate(engine, prompts, short)) },
      { name: 'long', run: async () => void (await generate(engine, prompts, long)) },
      {
        name: 'copy',
        async run() {
          const encoder = gpu.device.createCommandEncoder();
          encoder.copyBufferToBuffer(bufferOf(from), 0, bufferOf(to), 0, from.byteLength);
          gpu.device.queue.submit([encoder.finish()]);
          await gpu.settle();
        },
      },
    ],
    rounds,
    ROW_SECONDS,
  );
  await engine.close();
  for (const storage of [from, to]) gpu.memory.free(storage);
  const steps = times.long.map((ms, i) => (ms - times.short[i]) / (long - short));
  const share = pairedRatio(times.copy, steps);
  return {
    work: 'a decoding step',
    shape: `${name}, batch ${batch}`,
    ours_ms: median(steps),
    peer: 'copy-limit',
    peer_ms: median(times.copy),
    ratio: share.median,
    checked: together[0].join() === alone[0].join(),
    note: `${Math.round((1000 * batch) / median(steps))} tokens/s; reads ${(bytes / 2 ** 20).toFixed(1)} MiB`,
  };
}

async function prefillRow(gpu: Gpu, { model }: LoadedModel, name: string, rounds: number): Promise<Row> {
  const engine = new Engine(gpu, model, { maxSequences: 8, maxPositions: 1024 });
  const each = gpu.profile.kind === 'cpu' ? 128 : 512;
  const long = promptsOf(4, 1 + each, model.config.vocabSize);
  const short = promptsOf(4, 1, model.config.vocabSize);
  const run = async (prompts: readonly number[][]) => void (await generate(engine, prompts, 1));
  const times = await takeTurns(
    [
      { name: 'prefill', run: () => run(long) },
      { name: 'decode', run: () => run(short) },
    ],
    rounds,
    ROW_SECONDS,
  );
  await engine.close();
  const ms = times.prefill.map((t, i) => t - times.decode[i]);
  const tokens = 4 * each;
  return {
    work: 'prefill',
    shape: `${name}, ${tokens} tokens`,
    ours_ms: median(ms),
    peer: 'one decoding step',
    peer_ms: median(times.decode),
    ratio: median(times.decode) / median(ms),
    checked: true,
    note: `${Math.round((1000 * tokens) / median(ms))} tokens/s`,
  };
}
