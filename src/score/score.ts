/**
 * `prefgrad score`: per-token log-probs, rewards and contributions of every row, one JSON line per row, in order. Rows
 * are read, packed a few at a time, scored and written, so memory does not grow with the file.
 */
import type { Columns } from '../data/columns.ts';
import { type DataReport, emptyReport } from '../data/data-report.ts';
import type { PairExample } from '../data/examples.ts';
import type { DataFormat } from '../data/formats.ts';
import { loadTokenizer } from '../data/load-tokenizer.ts';
import { streamExamples } from '../data/prepare.ts';
import type { Truncation } from '../data/truncation.ts';
import { InputError } from '../errors.ts';
import { locateModel } from '../formats/model-location.ts';
import { Gpu } from '../gpu/device.ts';
import { checkComparable } from '../models/loading/comparable.ts';
import { loadLocated, loadWithAdapter } from '../models/loading/load-with-adapter.ts';
import { type ActiveObjective, activate } from '../objectives/choice.ts';
import { simplestObjective } from '../objectives/probes.ts';
import { findObjective } from '../objectives/registry.ts';
import type { BmcSettings } from '../objectives/token-weights/bmc.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { PAIRS_TOGETHER, Scorer, scoreRecords } from './scorer.ts';

export interface ScoreOptions {
  readonly model: string;
  /** Directory of a PEFT adapter on top of the model. */
  readonly adapter?: string | undefined;
  readonly data: string;
  readonly out: string;
  /** Directory of a reference model. */
  readonly reference?: string | undefined;
  /** Directory of a PEFT adapter of the reference; without a reference it is on the model's own base. */
  readonly referenceAdapter?: string | undefined;
  /** Whose contributions are wanted; without it they are left out. */
  readonly objective?:
    | { readonly name: string; readonly settings?: Readonly<Record<string, unknown>> }
    | undefined;
  /** BMC's token weights; without it there are none. */
  readonly bmc?: BmcSettings | undefined;
  /** Rows are cut to this many tokens; without it nothing is cut. */
  readonly maxLength?: number | undefined;
  /** What a cut row keeps; keep_start unless given. */
  readonly truncation?: Truncation;
  /** Fields that have columns of another name. */
  readonly columns?: Columns;
  /** Form of the rows; auto unless given. */
  readonly format?: DataFormat;
  /** The GPU; the best one unless given. */
  readonly device?: string | undefined;
}

/** @returns what became of the rows. The output file appears only when it is complete. */
export async function scoreFile(runtime: Runtime, options: ScoreOptions): Promise<DataReport> {
  const objective = chosenObjective(options);
  if (objective.needs.reference !== 'none' && !hasReference(options)) {
    throw new InputError(
      `--objective ${objective.name} compares with a reference; give it with --reference DIR.`,
    );
  }
  const location = await locateModel(runtime.files, options.model, options.adapter);
  const tokenizer = await loadTokenizer(runtime.files, location.tokenizer);
  const gpu = await Gpu.open(runtime, { device: options.device });
  try {
    const positions = options.maxLength ?? Number.MAX_SAFE_INTEGER;
    const policy = await loadLocated(gpu, location, { dtype: 'auto', positions });
    const against = hasReference(options)
      ? await loadWithAdapter(gpu, options.reference ?? location.path, options.referenceAdapter, positions)
      : undefined;
    if (against !== undefined) checkComparable(policy.model, against.model, '--reference');
    const reference = against && { model: against.model, adapter: against.lora !== undefined };
    const scorer = new Scorer({ gpu, policy: policy.model, reference, objective, details: false });
    const shown = { weights: options.bmc !== undefined, contributions: options.objective !== undefined };
    const report = emptyReport();
    const examples = streamExamples(
      {
        files: runtime.files,
        path: options.data,
        tokenizer,
        columns: options.columns ?? {},
        format: options.format ?? 'auto',
        expects: 'paired',
        refusesWeights: weightsRefusedBy(options, objective),
        maxLength: options.maxLength ?? policy.config.maxPositions,
        truncation: options.truncation ?? 'keep_start',
        diff: objective.needs.differences ?? 'levenshtein',
        modelVocabSize: policy.config.vocabSize,
      },
      report,
    );
    const partial = `${options.out}.tmp`;
    const sink = await runtime.files.create(partial);
    try {
      for await (const batch of inGroups(examples, PAIRS_TOGETHER)) {
        const vectors = await scorer.score(batch);
        const records = scoreRecords(batch, vectors, tokenizer, objective, shown);
        await sink.write(records.map((record) => `${JSON.stringify(record)}\n`).join(''));
      }
      await sink.close();
    } catch (error) {
      await sink.close();
      await runtime.files.remove(partial);
      throw error;
    }
    await runtime.files.rename(partial, options.out);
    return report;
  } finally {
    gpu.close();
  }
}

function hasReference({ reference, referenceAdapter }: ScoreOptions): boolean {
  return reference !== undefined || referenceAdapter !== undefined;
}

/** Weights that rows carry count in the contributions of a method that takes them; without any they are 1. */
function chosenObjective(options: ScoreOptions): ActiveObjective {
  const { objective, bmc } = options;
  if (objective === undefined) {
    const asked = { reference: hasReference(options), tokenWeights: bmc !== undefined };
    return activate({ name: simplestObjective(asked), bmc });
  }
  const { takesTokenWeights } = findObjective(objective.name);
  const dataWeights = takesTokenWeights && bmc === undefined ? true : undefined;
  return activate({ ...objective, bmc, dataWeights });
}

/** What to call a method that would pass over the weights of a row; undefined where none does. */
function weightsRefusedBy({ objective, bmc }: ScoreOptions, { needs }: ActiveObjective): string | undefined {
  if (objective === undefined || needs.dataWeights) return undefined;
  return bmc === undefined ? objective.name : `${objective.name} with BMC's weights`;
}

/** Groups of at most `size`, in order. */
async function* inGroups(
  examples: AsyncIterable<{ readonly kind: string }>,
  size: number,
): AsyncGenerator<PairExample[]> {
  let group: PairExample[] = [];
  for await (const example of examples) {
    group.push(example as PairExample);
    if (group.length === size) {
      yield group;
      group = [];
    }
  }
  if (group.length > 0) yield group;
}
