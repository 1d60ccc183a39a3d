/**
 * Tasks that the policy answers between steps, greedily: the accuracy on each is `eval_NAME_accuracy`, the mean length of
 * its answers `eval_NAME_tokens`, and every case is in OUTPUT_DIR/eval_tasks.
 */
import type { Tokenizer } from '../data/tokenizer.ts';
import { InputError } from '../errors.ts';
import type { Answerer } from '../evaluate/evaluate-task.ts';
import type { Task } from '../evaluate/tasks/task.ts';
import { generate } from '../generate/generator.ts';
import type { Gpu } from '../gpu/device.ts';
import type { LoadedModel } from '../models/loading/load.ts';
import { shareOut } from '../runtime/in-order.ts';
import type { TrainConfig } from './config.ts';
import { type EvalTask, taskName } from './eval-tasks.ts';
import type { Metrics } from './hooks.ts';

/** Answers that are written together. */
const BATCH = 64;

interface OpenTask {
  readonly task: Task;
  readonly settings: EvalTask;
}

export class TaskAccuracy {
  readonly #gpu: Gpu;
  readonly #policy: LoadedModel;
  readonly #tokenizer: Tokenizer;
  readonly #tasks: readonly OpenTask[];
  readonly #directory: string;

  private constructor(
    gpu: Gpu,
    policy: LoadedModel,
    tokenizer: Tokenizer,
    tasks: readonly OpenTask[],
    directory: string,
  ) {
    this.#gpu = gpu;
    this.#policy = policy;
    this.#tokenizer = tokenizer;
    this.#tasks = tasks;
    this.#directory = directory;
  }

  /** @throws InputError for a task or questions that cannot be used, before anything is trained */
  static async open(
    gpu: Gpu,
    policy: LoadedModel,
    tokenizer: Tokenizer,
    config: TrainConfig,
  ): Promise<TaskAccuracy> {
    const tasks: OpenTask[] = [];
    if (config.eval_tasks !== undefined) {
      // The graders are large, and most runs have no tasks.
      const { namedTask } = await import('../evaluate/tasks/named-task.ts');
      const { readQuestions } = await import('../evaluate/evaluate-task.ts');
      const { files } = gpu.runtime;
      for (const [i, settings] of config.eval_tasks.entries()) {
        const at = `eval_tasks.${i}`;
        const task = await namedTask(files, settings.task, settings.task_file, {
          task: `${at}.task`,
          file: `${at}.task_file`,
        });
        const questions = await readQuestions(files, task, settings.data, limitOf(settings));
        for (const [n, { problem }] of questions.entries()) {
          const { length } = tokenizer.encodePrompt(task.prompt(problem));
          if (length < config.data.max_length) continue;
          throw new InputError(
            `${at}.data: question ${n + 1} of ${settings.data} has ${length} tokens with its prompt, but data.max_length ` +
              `is ${config.data.max_length}; raise that, or leave the question out.`,
          );
        }
        tasks.push({ task, settings });
      }
    }
    return new TaskAccuracy(gpu, policy, tokenizer, tasks, `${config.output_dir}/eval_tasks`);
  }

  /** Asks every question of every task. @param step - for the names of the files */
  async measure(step: number): Promise<Metrics> {
    const metrics: Record<string, number> = {};
    if (this.#tasks.length === 0) return metrics;
    const { evaluateTask } = await import('../evaluate/evaluate-task.ts');
    const { files } = this.#gpu.runtime;
    await files.makeDirectory(this.#directory);
    for (const { task, settings } of this.#tasks) {
      const name = taskName(settings);
      const out = `${this.#directory}/${name}-${step}.jsonl`;
      const answer: Answerer = (prompts, most) => this.#answer(prompts, settings.max_new_tokens ?? most);
      const summary = await evaluateTask(files, task, settings.data, out, answer, limitOf(settings));
      metrics[`eval_${name}_accuracy`] = summary.accuracy;
      metrics[`eval_${name}_tokens`] = summary.tokens_per_answer ?? 0;
    }
    return metrics;
  }

  async #answer(prompts: readonly string[], maxNewTokens: number) {
    const ids = prompts.map((prompt) => this.#tokenizer.encodePrompt(prompt));
    const { eosIds } = this.#tokenizer;
    const options = { maxNewTokens, eosIds, adapter: true, batchSize: BATCH };
    const answers = await shareOut(this.#gpu.runtime.ranks, ids, (own, streams) =>
      generate(this.#gpu, this.#policy.model, own, { ...options, streams }),
    );
    return answers.map((answer) => ({
      text: this.#tokenizer.decode(answer, { skipSpecial: true }),
      tokens: answer.length,
    }));
  }
}

const limitOf = ({ max_rows = Number.POSITIVE_INFINITY }: EvalTask): number => max_rows;
