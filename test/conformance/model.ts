/** A small Llama end to end: loss and gradients against PyTorch, directional derivatives, greedy text, files. */
import { download, type Tensor, upload } from '../../src/autograd/tensor.ts';
import { tokenDifferences } from '../../src/data/differences.ts';
import type { Answer, PairExample } from '../../src/data/examples.ts';
import { loadTokenizer } from '../../src/data/load-tokenizer.ts';
import { writeDirectory } from '../../src/formats/directory-writer.ts';
import { generate } from '../../src/generate/generator.ts';
import { loadModel } from '../../src/models/loading/load.ts';
import { activate } from '../../src/objectives/choice.ts';
import { trainingSettings } from '../../src/train/config.ts';
import { referenceFrom } from '../../src/train/reference-form.ts';
import { trainedModelFiles } from '../../src/train/saving.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { expectClose, expectSameBits } from '../support/close.ts';
import { gridValues } from '../support/workbench.ts';
import { type CaseContext, type ConformanceCase, readFixture } from './case.ts';

const FOLDER = 'test/fixtures/torch';
const STORIES = 'examples/stories260K';
const group = 'model';

interface Gradients {
  readonly loss: number;
  readonly gradients: Readonly<Record<string, { readonly data: readonly number[] }>>;
}

interface Fixture {
  readonly pairs: readonly { prompt: number[]; chosen: number[]; rejected: number[] }[];
  readonly dpo: Gradients;
  readonly dpo_bmc: Gradients;
}

async function openTrainer(context: CaseContext, fixture: Fixture, bmc: boolean): Promise<Trainer> {
  const { gpu } = context;
  const examples = fixture.pairs.map(({ prompt, chosen, rejected }, index): PairExample => {
    const masks = tokenDifferences(rejected, chosen, 'levenshtein');
    const answer = (ids: number[], diff: Uint8Array): Answer => ({ ids: Int32Array.from(ids), diff });
    return {
      kind: 'pair',
      index,
      line: index + 1,
      promptIds: Int32Array.from(prompt),
      chosen: answer(chosen, masks.chosen),
      rejected: answer(rejected, masks.rejected),
      truncated: false,
    };
  });
  const objective = activate({ name: 'dpo', settings: { beta: 0.1 }, bmc: bmc ? { delta: 2 } : undefined });
  const training = trainingSettings(
    {
      learning_rate: 1e-12,
      max_steps: 1,
      per_device_train_batch_size: examples.length,
      lr_scheduler_type: 'constant',
      warmup_ratio: 0,
      max_grad_norm: 1e9,
    },
    objective.name,
  );
  const options = { dtype: 'f32', positions: 256 } as const;
  const policy = await loadModel(gpu, `${FOLDER}/tiny-llama`, { train: 'full', ...options });
  const loaded = await loadModel(gpu, `${FOLDER}/tiny-llama-reference`, { train: 'none', ...options });
  const data = { train: examples, eval: examples };
  const reference = await referenceFrom(gpu, objective.needs, { loaded, adapter: false }, data, {
    maxTokens: 4096,
  });
  const trainer = Trainer.open({ gpu, objective, policy, reference, ...data, training, seed: 42 });
  await trainer.warmUp();
  return trainer;
}

function parametersOf(trainer: Trainer) {
  if (trainer.policy.trained === undefined) throw new RangeError('Nothing is trained.');
  return [...trainer.policy.trained.parameters.values()];
}

function gradientOf({ gradient, label }: Tensor): Tensor {
  if (gradient === undefined) throw new Error(`${label} has no gradient.`);
  return gradient;
}

function agreesWithPyTorch(name: 'dpo' | 'dpo_bmc'): ConformanceCase {
  return {
    group,
    name: `${name}: loss and the gradient of every weight are PyTorch's`,
    async run(context) {
      const fixture = await readFixture<Fixture>(context, `${FOLDER}/tiny-llama.json`);
      const trainer = await openTrainer(context, fixture, name === 'dpo_bmc');
      const { metrics } = await trainer.runStep();
      expectClose([metrics.loss], [fixture[name].loss], 1e-4, 'loss');
      for (const p of parametersOf(trainer)) {
        const gradient = await download(context.gpu, gradientOf(p.tensor));
        expectClose(gradient, fixture[name].gradients[p.name].data, 1e-4, p.name, p.shape);
      }
      trainer.free();
    },
  };
}

/** Length of the step along a direction of length 1 in every weight matrix. */
const STEP = 0.02;

/** dL/dw . d against (L(w + h d) - L(w - h d)) / 2h, both from the production kernels. */
const directional: ConformanceCase = {
  group,
  name: 'eight directional derivatives through the whole model',
  isLong: true,
  async run(context) {
    const { gpu } = context;
    const fixture = await readFixture<Fixture>(context, `${FOLDER}/tiny-llama.json`);
    const trainer = await openTrainer(context, fixture, false);
    const parameters = parametersOf(trainer);
    const start = await Promise.all(parameters.map((p) => download(gpu, p.master)));
    await trainer.runStep();
    const gradients = await Promise.all(parameters.map((p) => download(gpu, gradientOf(p.tensor))));
    const lossAt = async (h: number, direction: readonly Float64Array[]) => {
      parameters.forEach((p, k) => {
        upload(
          gpu,
          p.master,
          Float32Array.from(start[k], (w, i) => w + h * direction[k][i]),
        );
      });
      return (await trainer.evaluate()).eval_loss;
    };
    for (let n = 0; n < 8; n++) {
      const direction = parameters.map((p, k) => {
        const values = Float64Array.from(gridValues(100 * n + k, p.shape).data);
        const length = Math.hypot(...values);
        return values.map((v) => v / length);
      });
      const slope = direction.reduce(
        (sum, d, k) => sum + d.reduce((s, v, i) => s + v * gradients[k][i], 0),
        0,
      );
      const measured = ((await lossAt(STEP, direction)) - (await lossAt(-STEP, direction))) / (2 * STEP);
      expectClose([slope], [measured], 1e-2, `direction ${n}`);
    }
    trainer.free();
  },
};

/** What the model's author's own code continues 'Once upon a time' with. */
const GREEDY = [
  432, 383, 286, 261, 376, 298, 315, 421, 395, 317, 426, 338, 401, 396, 267, 337, 410, 408, 419, 292, 411,
  322,
];

const greedy: ConformanceCase = {
  group,
  name: "greedy text from 'Once upon a time'",
  async run({ gpu, runtime }) {
    const tokenizer = await loadTokenizer(runtime.files, STORIES);
    const prompt = tokenizer.encodePrompt('Once upon a time');
    expectClose([...prompt], [1, 403, 407, 261, 378], 0, 'prompt');
    const loaded = await loadModel(gpu, STORIES, { train: 'none', dtype: 'f32', positions: 64 });
    const [ids] = await generate(gpu, loaded.model, [prompt], {
      temperature: 0,
      topK: 0,
      topP: 1,
      seed: 0,
      maxNewTokens: GREEDY.length,
      eosIds: tokenizer.eosIds,
      adapter: true,
      batchSize: 1,
    });
    expectClose([...ids], GREEDY, 0, 'ids');
    loaded.free();
  },
};

const roundTrip: ConformanceCase = {
  group,
  name: 'a saved model is the model that was loaded, bit by bit',
  async run({ gpu, runtime }) {
    const options = { train: 'full', dtype: 'f32', positions: 64 } as const;
    const loaded = await loadModel(gpu, STORIES, options);
    const path = `conformance-${runtime.name}-${Date.now()}`;
    try {
      await writeDirectory(runtime.files, path, await trainedModelFiles(gpu, loaded));
      const again = await loadModel(gpu, path, options);
      for (const [name, parameter] of loaded.trained?.parameters ?? []) {
        const other = again.trained?.parameters.get(name);
        if (other === undefined) throw new Error(`${name} was not saved.`);
        const values = [parameter, other].map((p) => download(gpu, p.master));
        const [before, after] = await Promise.all(values);
        expectSameBits(after, before, name);
      }
      again.free();
    } finally {
      await runtime.files.remove(path);
      loaded.free();
    }
  },
};

export const modelCases: readonly ConformanceCase[] = [
  agreesWithPyTorch('dpo'),
  agreesWithPyTorch('dpo_bmc'),
  directional,
  greedy,
  roundTrip,
];
