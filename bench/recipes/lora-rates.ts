/**
 * npm run bench -- lora: do the rates of the LoRA recipes move an adapter, and where do they end?
 *
 * Every recipe of examples/recipes that ends in -lora is trained as it stands but for what a small machine cannot have:
 * model, rows, their lengths and the batch are the quickstart's. DPO's and SFT's are trained at other rates as well, among
 * them the one at which the paper trains all weights. Each is evaluated on held-out rows before and after.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { keepDevices, type Runtime, type TrainConfigInput, train } from '../../src/index.ts';
import { commitNow } from '../report.ts';
import { loraTable, type RateRow } from './lora-table.ts';

const FOLDER = 'examples/recipes';
const MODEL = 'examples/stories260K';
const DATA = 'examples/quickstart';
/** A third of an epoch of the quickstart's 475 rows, and held-out rows. */
const [BATCH, STEPS, HELD_OUT] = [4, 40, 24];
/** Rates beside a recipe's own: the first is that of full fine-tuning. */
const OTHER_RATES: Readonly<Record<string, readonly number[]>> = {
  'dpo-llama3-8b-lora': [5e-7, 5e-4],
  'sft-llama3-8b-lora': [2e-5, 2e-3],
};
/** Those with several rates come first. */
const FIRST = Object.keys(OTHER_RATES);

interface Recipe {
  readonly objective: { readonly name: string };
  readonly training: { readonly learning_rate: number };
  readonly data: object;
}

/** @param out JSON file for the result */
export async function benchLoraRates(detected: Runtime, quick: boolean, out: string | undefined) {
  const runtime = keepDevices(detected);
  const folder = mkdtempSync(join(tmpdir(), 'prefgrad-lora-'));
  const names = readdirSync(FOLDER)
    .filter((name) => name.endsWith('-lora.yaml'))
    .map((name) => name.replace('.yaml', ''))
    .sort((a, b) => Number(FIRST.includes(b)) - Number(FIRST.includes(a)));
  let device = '';
  const rows: RateRow[] = [];
  try {
    const held = join(folder, 'eval.jsonl');
    writeFileSync(held, readFileSync(`${DATA}/eval.jsonl`, 'utf8').split('\n').slice(0, HELD_OUT).join('\n'));
    for (const name of names) {
      const recipe = parse(readFileSync(`${FOLDER}/${name}.yaml`, 'utf8')) as Recipe;
      const own = recipe.training.learning_rate;
      for (const rate of [own, ...(OTHER_RATES[name] ?? [])].sort((a, b) => a - b)) {
        const config = smallRun(recipe, rate, held, join(folder, `${name}-${rate}`), quick);
        const start = (info: { readonly device: string }) => {
          device = info.device;
        };
        const { step, seconds, before = {}, after = {} } = await train(config, { runtime, start });
        const row = { recipe: name, learning_rate: rate, is_recipe: rate === own, steps: step, seconds };
        rows.push({ ...row, before, after });
        console.log(
          loraTable([{ ...row, before, after }])
            .split('\n')
            .at(-1),
        );
        if (out !== undefined) writeReport(out, device, rows);
      }
    }
    console.log(`\n${loraTable(rows)}`);
  } finally {
    runtime.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What is there so far, so that a bench that is stopped leaves it. */
function writeReport(out: string, device: string, rows: readonly RateRow[]): void {
  const report = {
    device,
    date: new Date().toISOString(),
    commit: commitNow(),
    model: MODEL,
    train: `${DATA}/train.jsonl`,
    batch: BATCH,
    held_out: HELD_OUT,
    rows,
  };
  writeFileSync(out, `${JSON.stringify(report, null, 2)}\n`);
}

/** The recipe on the quickstart's model and rows. */
function smallRun(recipe: Recipe, rate: number, held: string, output_dir: string, quick: boolean) {
  const { save_steps: _, save_total_limit: __, ...training } = recipe.training as Record<string, unknown>;
  return {
    ...recipe,
    model: { path: MODEL },
    data: { train: `${DATA}/train.jsonl`, eval: held, max_length: 192 },
    training: {
      ...training,
      learning_rate: rate,
      per_device_train_batch_size: BATCH,
      gradient_accumulation_steps: 1,
      max_steps: quick ? 2 : STEPS,
    },
    output_dir,
  } as TrainConfigInput;
}
