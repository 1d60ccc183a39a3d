/**
 * The same LoRA DPO step here and in PyTorch on the same card: same shape of model, same rows, one after the other.
 *
 *   node bench/gpu-box/compare.js [--compiled] [--out FILE.json]
 *
 * PyTorch's side is pytorch_dpo.py. Where Python, PyTorch, transformers or the card is missing, its columns say so.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { detectRuntime } from '../../src/index.ts';
import { appendRowsTo, measured, publish, type Row, reportOf } from '../report.ts';
import { median, takeTurns } from '../timing.ts';
import { pairsOf, StepBench } from '../training/step.ts';

/** Llama-3.2-1B, 16 pairs of 512 + 2 x 256 tokens: 16k tokens a step. On a CPU adapter a toy of the same make. */
const GPU = {
  size: { vocabulary: 128256, hidden: 2048, inner: 8192, layers: 16, heads: 32, kvHeads: 8 },
  pairs: { count: 16, prompt: 512, answer: 256 },
  rounds: 10,
};
const CPU = {
  size: { vocabulary: 4096, hidden: 256, inner: 688, layers: 4, heads: 8, kvHeads: 4 },
  pairs: { count: 4, prompt: 32, answer: 16 },
  rounds: 5,
};
const LORA = {
  r: 16,
  lora_alpha: 32,
  target_modules: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
} as const;
const BETA = 0.1;

/** What pytorch_dpo.py prints. */
interface TorchResult {
  readonly device: string;
  readonly torch: string;
  readonly step_ms: number;
  readonly peak_bytes: number;
  readonly first_loss: number;
}

interface Options {
  readonly out?: string;
  readonly lines?: string;
  readonly compiled?: boolean;
}

async function compare({ out, lines, compiled = false }: Options): Promise<void> {
  if (lines !== undefined) appendRowsTo(lines);
  const runtime = await detectRuntime();
  const probe = await StepBench.open(runtime, CPU.size);
  const setting = probe.gpu.isCpu ? CPU : GPU;
  const bench = setting === CPU ? probe : await StepBench.open(runtime, GPU.size);
  const { count, prompt, answer } = setting.pairs;
  const pairs = pairsOf(count, prompt, answer, setting.size.vocabulary);

  bench.gpu.memory.resetPeak();
  const trainer = await bench.trainer({
    objective: { name: 'dpo', settings: { beta: BETA } },
    pairs,
    lora: { ...LORA, target_modules: [...LORA.target_modules] },
    training: { gradient_checkpointing: true, max_tokens_per_micro_batch: 16384 },
  });
  const times = await takeTurns([{ name: 'ours', run: trainer.step }], setting.rounds);
  const ours = { step_ms: median(times.ours), peak_bytes: bench.gpu.memory.peak };
  trainer.free();

  const rows = pairs.map(({ promptIds, chosen, rejected }) => ({
    prompt: [...promptIds],
    chosen: [...chosen.ids],
    rejected: [...rejected.ids],
  }));
  const torch = pytorch({ ...setting.size, beta: BETA, lora: LORA, rounds: setting.rounds, rows, compiled });
  // What a trainer gets done is rows; tokens count each prompt twice, as a concatenated forward pass does.
  const tokens = 2 * count * (prompt + answer);
  const row: Row = {
    work: 'step of dpo, LoRA',
    shape: `${(bench.parameters / 1e6).toFixed(0)}M parameters, ${count} pairs, ${tokens} tokens`,
    ours_ms: ours.step_ms,
    peer:
      typeof torch === 'string'
        ? 'PyTorch: not measured'
        : `PyTorch ${torch.torch}${compiled ? ', compiled,' : ''} on ${torch.device}`,
    peer_ms: typeof torch === 'string' ? 0 : torch.step_ms,
    ratio: typeof torch === 'string' ? 0 : torch.step_ms / ours.step_ms,
    checked: Math.abs(trainer.firstLoss - Math.LN2) < 1e-4,
    note:
      `${rate(tokens, ours.step_ms)}, peak ${mebibytes(ours.peak_bytes)}; ` +
      (typeof torch === 'string'
        ? torch
        : `PyTorch ${rate(tokens, torch.step_ms)}, peak ${mebibytes(torch.peak_bytes)}, first loss ${torch.first_loss.toFixed(4)}`),
  };
  publish(reportOf(bench.gpu, [measured(row)]), out);
  bench.gpu.close();
  probe.gpu.close();
}

/** Runs PyTorch's side. @returns its figures, or one line that says why there are none */
function pytorch(work: object): TorchResult | string {
  const file = join(mkdtempSync(join(tmpdir(), 'prefgrad-compare-')), 'work.json');
  writeFileSync(file, JSON.stringify(work));
  const script = fileURLToPath(new URL('./pytorch_dpo.py', import.meta.url));
  const { status, stdout, stderr, error } = spawnSync('python3', [script, file], { encoding: 'utf8' });
  if (error !== undefined) return 'there is no python3';
  if (status !== 0) return stderr.trim().split('\n').at(-1) ?? `python3 ended with ${status}`;
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as TorchResult;
}

function rate(tokens: number, ms: number): string {
  return `${((1000 * tokens) / ms).toFixed(0)} tokens/s`;
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`;
}

const program = new Command('compare')
  .option('--compiled', "PyTorch's side through torch.compile; without it eager")
  .option('--lines <FILE.jsonl>', 'append the row there')
  .option('--out <FILE.json>', 'write the row there, too');
await compare(program.parse().opts<Options>());
