/** A LoRA step of DPO on frozen weights in 8 and 4 bits: an 8B Llama on a GPU, a toy of the same make on a CPU adapter. */
import type { Runtime, TrainConfigInput } from '../../src/index.ts';
import { measured, type Report, type Row, reportOf } from '../report.ts';
import { median, takeTurns } from '../timing.ts';
import { pairsOf, StepBench } from './step.ts';

const GPU = {
  size: { vocabulary: 128256, hidden: 4096, inner: 14336, layers: 32, heads: 32, kvHeads: 8 },
  pairs: { count: 4, prompt: 512, answer: 256 },
};
const CPU = {
  size: { vocabulary: 512, hidden: 128, inner: 320, layers: 2, heads: 4, kvHeads: 2 },
  pairs: { count: 4, prompt: 16, answer: 16 },
};
const LORA: TrainConfigInput['lora'] = {
  r: 16,
  lora_alpha: 32,
  target_modules: ['q_proj', 'k_proj', 'v_proj', 'o_proj'],
};

export async function benchQuantized(runtime: Runtime, quick: boolean): Promise<Report> {
  const probe = await StepBench.open(runtime, CPU.size);
  const setting = probe.gpu.isCpu ? CPU : GPU;
  const bench = setting === CPU ? probe : await StepBench.open(runtime, GPU.size);
  const { count, prompt, answer } = setting.pairs;
  const pairs = pairsOf(count, prompt, answer, setting.size.vocabulary);
  const rows: Row[] = [];
  for (const bits of [8, 4] as const) {
    bench.gpu.memory.resetPeak();
    const training = { gradient_checkpointing: true };
    const trainer = await bench.trainer({ objective: { name: 'dpo' }, pairs, lora: LORA, bits, training });
    const times = await takeTurns([{ name: 'ours', run: trainer.step }], quick ? 3 : 10);
    const peak = bench.gpu.memory.peak;
    trainer.free();
    const ours_ms = median(times.ours);
    const tokens = 2 * count * (prompt + answer);
    rows.push(
      measured({
        work: `step of dpo, LoRA, weights in ${bits} bits`,
        shape: `${(bench.parameters / 1e6).toFixed(0)}M parameters, ${count} pairs, ${tokens} tokens`,
        ours_ms,
        peer: 'none',
        peer_ms: 0,
        ratio: 0,
        checked: Math.abs(trainer.firstLoss - Math.LN2) < 1e-4,
        note: `${((1000 * tokens) / ours_ms).toFixed(0)} tokens/s, peak ${(peak / 2 ** 20).toFixed(0)} MiB`,
      }),
    );
  }
  const report = reportOf(bench.gpu, rows);
  bench.gpu.close();
  if (bench !== probe) probe.gpu.close();
  return report;
}
