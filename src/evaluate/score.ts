/**
 * `prefgrad score`: per-token log-probs, rewards and contributions of every row, one JSON line per row, in order. Rows
 * are read, packed a few at a time, scored and written, so memory does not grow with the file.
 */
import { allocateTensor, freeTensor, type Tensor, whole } from '../autograd/tensor.ts';
import { addShapes, type BatchShape, packBatch, shapeOf } from '../data/batches.ts';
import type { Columns } from '../data/columns.ts';
import type { PairExample } from '../data/examples.ts';
import { loadTokenizer } from '../data/load-tokenizer.ts';
import { type DataReport, emptyReport, streamExamples } from '../data/prepare.ts';
import type { DataFormat } from '../data/rows.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { Truncation } from '../data/truncation.ts';
import { InputError } from '../errors.ts';
import { Gpu } from '../gpu/device.ts';
import { Arena } from '../gpu/planner.ts';
import type { Program } from '../gpu/program.ts';
import { type LoadedModel, loadModel } from '../models/load.ts';
import type { BmcSettings } from '../objectives/bmc.ts';
import { type ActiveObjective, activate } from '../objectives/registry.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { BatchTensors } from '../train/batch-tensors.ts';
import { bucketTokens } from '../train/micro-batches.ts';
import { scoreProgram } from '../train/step-programs.ts';

export interface ScoreOptions {
  readonly model: string;
  readonly reference: string | undefined;
  readonly data: string;
  readonly out: string;
  readonly objective:
    | { readonly name: string; readonly settings: Readonly<Record<string, unknown>> }
    | undefined;
  readonly bmc: BmcSettings | undefined;
  readonly maxLength: number | undefined;
  readonly truncation: Truncation;
  readonly columns: Columns;
  readonly format: DataFormat;
  readonly adapter: string | undefined;
}

/** Rows scored together; one program serves every batch of a bucket. */
const ROWS_TOGETHER = 8;

/** Token vectors of a batch, by what they hold. */
type Vectors = Partial<Record<'logps' | 'refLogps' | 'weights' | 'contributions', Float32Array>>;

/** @returns what became of the rows. The output file appears only when it is complete. */
export async function scoreFile(runtime: Runtime, options: ScoreOptions): Promise<DataReport> {
  const objective = chosenObjective(options);
  if (objective.needs.reference !== 'none' && options.reference === undefined) {
    throw new InputError(
      `--objective ${objective.name} compares with a reference; give it with --reference DIR.`,
    );
  }
  const tokenizer = await loadTokenizer(runtime.files, options.model);
  const gpu = await Gpu.open(runtime, { adapter: options.adapter });
  try {
    const scorer = await Scorer.open(gpu, options, objective);
    const report = emptyReport();
    const examples = streamExamples(
      {
        files: runtime.files,
        path: options.data,
        tokenizer,
        columns: options.columns,
        format: options.format,
        expects: 'paired',
        maxLength: options.maxLength ?? scorer.policy.config.maxPositions,
        truncation: options.truncation,
        diff: options.bmc?.diff ?? objective.needs.differences ?? 'levenshtein',
        modelVocabSize: scorer.policy.config.vocabSize,
      },
      report,
    );
    const partial = `${options.out}.tmp`;
    const sink = await runtime.files.create(partial);
    try {
      for await (const batch of inGroups(examples, ROWS_TOGETHER)) {
        const vectors = await scorer.score(batch);
        await sink.write(linesOf(batch, vectors, tokenizer, options, objective).join(''));
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

/** Without --objective the simplest method that gives what was asked for. */
function chosenObjective({ objective, reference, bmc }: ScoreOptions): ActiveObjective {
  const fallback = reference !== undefined ? 'dpo' : bmc !== undefined ? 'simpo' : 'sft';
  return activate({ name: objective?.name ?? fallback, settings: objective?.settings, bmc });
}

class Scorer {
  readonly policy: LoadedModel;
  readonly #gpu: Gpu;
  readonly #reference: LoadedModel | undefined;
  readonly #objective: ActiveObjective;
  readonly #state: Record<string, Tensor>;
  readonly #buckets = new Map<
    string,
    { batch: BatchTensors; program: Program; outputs: Readonly<Record<string, Tensor>> }
  >();

  private constructor(
    gpu: Gpu,
    policy: LoadedModel,
    reference: LoadedModel | undefined,
    objective: ActiveObjective,
  ) {
    this.#gpu = gpu;
    this.policy = policy;
    this.#reference = reference;
    this.#objective = objective;
    this.#state = {};
    for (const [name, value] of Object.entries(objective.initState)) {
      const tensor = allocateTensor(gpu, name, [1], 'f32', 'state');
      gpu.write(whole(tensor), new Float32Array([value]));
      this.#state[name] = tensor;
    }
  }

  static async open(gpu: Gpu, options: ScoreOptions, objective: ActiveObjective): Promise<Scorer> {
    const load = (path: string) =>
      loadModel(gpu, path, {
        train: 'none',
        dtype: 'auto',
        positions: options.maxLength ?? Number.MAX_SAFE_INTEGER,
      });
    const policy = await load(options.model);
    const reference = options.reference === undefined ? undefined : await load(options.reference);
    return new Scorer(gpu, policy, reference, objective);
  }

  /** Token vectors of a batch, over its rows in packed order. */
  async score(examples: readonly PairExample[]): Promise<Vectors> {
    const shape = examples.map((e) => shapeOf(e)).reduce(addShapes);
    const bucket = await this.#bucket(shape);
    const counts = { pairs: examples.length, chosenTokens: 1, answers: 2 * examples.length };
    bucket.batch.load(packBatch(examples, bucket.batch.capacity), { counts });
    bucket.program.run();
    const vectors: Vectors = {};
    for (const [name, tensor] of Object.entries(bucket.outputs)) {
      vectors[name as keyof Vectors] = new Float32Array(
        await this.#gpu.read(whole(tensor), 0, 4 * shape.rows),
      );
    }
    return vectors;
  }

  async #bucket({ tokens, pairs }: BatchShape) {
    const capacity = { tokens: bucketTokens(tokens), rows: bucketTokens(tokens) + 2 * ROWS_TOGETHER, pairs };
    const key = `${capacity.tokens}/${pairs}`;
    const known = this.#buckets.get(key);
    if (known !== undefined) return known;
    const batch = new BatchTensors(this.#gpu, capacity);
    const outputs: Record<string, Tensor> = {};
    for (const name of ['logps', 'refLogps', 'weights', 'contributions']) {
      outputs[name] = allocateTensor(this.#gpu, name, [capacity.rows], 'f32', 'batch');
    }
    const arena = new Arena(this.#gpu.memory);
    const reference = this.#reference && { model: this.#reference.model, adapter: false };
    const parts = {
      gpu: this.#gpu,
      arena,
      policy: this.policy.model,
      reference,
      objective: this.#objective,
      state: this.#state,
    };
    const { program, written } = scoreProgram(parts, batch, outputs);
    arena.allocate();
    await program.bind();
    for (const [name, tensor] of Object.entries(outputs)) {
      if (written.has(name)) continue;
      freeTensor(this.#gpu, tensor);
      delete outputs[name];
    }
    const bucket = { batch, program, outputs };
    this.#buckets.set(key, bucket);
    return bucket;
  }
}

/** The lines of a batch, in order. */
function linesOf(
  examples: readonly PairExample[],
  vectors: Vectors,
  tokenizer: Tokenizer,
  options: ScoreOptions,
  objective: ActiveObjective,
): string[] {
  const beta = Number(objective.settings.beta ?? objective.settings.tau ?? 1);
  let row = 0;
  return examples.map((example) => {
    const side = ({ ids, diff }: PairExample['chosen']) => {
      const [start, end] = [row, row + ids.length];
      row = end;
      const part = (vector: Float32Array | undefined) =>
        vector === undefined ? undefined : Array.from(vector.subarray(start, end));
      const [logps, refLogps] = [part(vectors.logps) ?? [], part(vectors.refLogps)];
      return {
        token_ids: Array.from(ids),
        tokens: Array.from(ids, (id) => tokenizer.tokenText(id)),
        logps,
        ref_logps: refLogps,
        diff: Array.from(diff ?? new Uint8Array(ids.length)),
        weights: options.bmc === undefined ? undefined : part(vectors.weights),
        rewards: refLogps?.map((ref, t) => beta * (logps[t] - ref)),
        contributions: options.objective === undefined ? undefined : part(vectors.contributions),
      };
    };
    const chosen = side(example.chosen);
    const rejected = side(example.rejected);
    const sum = (values: readonly number[] | undefined) => values?.reduce((a, b) => a + b, 0) ?? 0;
    const margin = chosen.rewards === undefined ? undefined : sum(chosen.rewards) - sum(rejected.rewards);
    return `${JSON.stringify({ prompt: { token_ids: Array.from(example.promptIds) }, chosen, rejected, margin })}\n`;
  });
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
