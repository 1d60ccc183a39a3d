/** Loading a checkpoint that is far larger than the host memory it may take: time, and bytes beyond those on the GPU. */
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeModel, formatBytes, Gpu, loadModel } from '../../src/engine.ts';
import { PIECE_BYTES } from '../../src/gpu/index.ts';
import type { Runtime } from '../../src/index.ts';
import { type Row, reportOf } from '../report.ts';

const LLAMA_1B = {
  hidden_size: 2048,
  intermediate_size: 8192,
  num_hidden_layers: 16,
  tie_word_embeddings: true,
};
const LLAMA_8B = {
  hidden_size: 4096,
  intermediate_size: 14336,
  num_hidden_layers: 32,
  tie_word_embeddings: false,
};

/** Host memory that loading may take beyond the GPU's, whatever the model. */
const GOAL = 2 * 2 ** 30;

export async function benchLoad(runtime: Runtime, quick: boolean) {
  const sizes = [['Llama-3.2-1B', LLAMA_1B] as const, ...(quick ? [] : [['Llama-3-8B', LLAMA_8B] as const])];
  const rows: Row[] = [];
  const probe = await Gpu.open(runtime);
  for (const [name, size] of sizes) rows.push(await load(runtime, name, size));
  const report = reportOf(probe, rows);
  probe.close();
  return report;
}

async function load(runtime: Runtime, name: string, size: typeof LLAMA_1B): Promise<Row> {
  const folder = mkdtempSync(join(tmpdir(), 'prefgrad-load-'));
  const gpu = await Gpu.open(runtime);
  try {
    const bytes = writeEmptyLlama(folder, size);
    const reading = await timed(async () => {
      const file = await runtime.files.open(join(folder, 'model.safetensors'));
      for (let at = 0; at < bytes; at += PIECE_BYTES)
        await file.readRange(at, Math.min(PIECE_BYTES, bytes - at));
      await file.close();
    });
    let beyond = 0;
    const watch = setInterval(() => {
      beyond = Math.max(beyond, hostBytes(gpu));
    }, 5);
    let loaded = 0;
    const loading = await timed(async () => {
      const model = await loadModel(gpu, folder, { train: 'none', dtype: 'bf16', positions: 1024 });
      await gpu.settle();
      loaded = gpu.memory.current;
      model.free();
    });
    clearInterval(watch);
    return {
      work: 'load a bf16 checkpoint',
      shape: `${name}, ${formatBytes(bytes)}`,
      ours_ms: loading,
      peer: 'reading the file alone',
      peer_ms: reading,
      ratio: reading / loading,
      checked: loaded > bytes && loaded < 1.01 * bytes,
      note: `${formatBytes(beyond)} of host memory beyond the GPU's; goal at most ${formatBytes(GOAL)}: ${beyond <= GOAL ? 'met' : 'not met'}`,
    };
  } finally {
    gpu.close();
    rmSync(folder, { recursive: true });
  }
}

/** What the process holds; on a CPU adapter its GPU memory is part of that, and is taken off. */
function hostBytes(gpu: Gpu): number {
  return process.memoryUsage().rss - (gpu.isCpu ? gpu.memory.current : 0);
}

/** A checkpoint of zeros, which a file system need not store. @returns bytes of its file */
function writeEmptyLlama(folder: string, size: typeof LLAMA_1B): number {
  const config = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    vocab_size: 128256,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    max_position_embeddings: 1024,
    rms_norm_eps: 1e-5,
    rope_theta: 500000,
    hidden_act: 'silu',
    torch_dtype: 'bfloat16',
    ...size,
  };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  let end = 0;
  const header: Record<string, unknown> = {};
  for (const { name, shape } of describeModel(config, 'config.json').weights) {
    const start = end;
    end += 2 * shape.reduce((a, b) => a * b, 1);
    header[name] = { dtype: 'BF16', shape, data_offsets: [start, end] };
  }
  const unpadded = JSON.stringify(header);
  const text = unpadded.padEnd(8 * Math.ceil(unpadded.length / 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const file = openSync(join(folder, 'model.safetensors'), 'w');
  writeSync(file, length);
  writeSync(file, text);
  ftruncateSync(file, 8 + text.length + end);
  closeSync(file);
  return 8 + text.length + end;
}

async function timed(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
