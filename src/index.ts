/**
 * What `import ... from 'prefgrad'` gives, in Node, Deno and the browser alike.
 *
 * ```ts
 * const run = await createRun({ model: 'Qwen2.5-0.5B-Instruct', data: 'pairs.jsonl', objective: 'dpo' });
 * for await (const { step, metrics } of run) console.log(step, metrics.loss);
 * await run.save('tuned');
 *
 * const [answer] = await generate({ model: 'tuned', prompts: ['Once upon a time'], temperature: 0.7 });
 * for await (const row of score({ model: 'tuned', reference: 'base', data: 'pairs.jsonl' })) console.log(row);
 * ```
 *
 * Options have the names of TRL and transformers, and of the configuration files. `train` makes a whole run with its files,
 * as the command does. `registerObjective(defineObjective({ ... }))` and `registerTokenWeight(defineTokenWeight({ ... }))`
 * add a method or a token weight of one's own, which a configuration then names (docs/methods.md). In a browser,
 * `browserRuntime()` has a tree of files in memory: put blobs and URLs there and pass it as `runtime`.
 *
 * The types need neither WebGPU's nor the DOM's; devices and tensors are opaque.
 *
 * @module
 */
export { createRun, type Run, type RunOptions, type RunStep } from './api/create-run.ts';
export {
  type GenerateOptions,
  type GenerationOptions,
  generate,
  type LoadModelOptions,
  loadModel,
  type Message,
  type Model,
  type Prompt,
} from './api/model.ts';
export { type ScoreFileOptions, type ScoreOptions, type ScoreRow, score, scoreFile } from './api/score.ts';
export { type TrainOptions, train } from './api/train.ts';
export type { Tensor } from './autograd/tensor.ts';
export { InputError, InputErrors, RunError } from './errors.ts';
export { type KeepingRuntime, keepDevices } from './gpu/kept-devices.ts';
export { type Likelihoods, likelihoods } from './objectives/likelihoods.ts';
export {
  defineObjective,
  type Needs,
  type Objective,
  type ObjectiveInputs,
  type ObjectiveResult,
} from './objectives/objective.ts';
export { objectives, registerObjective, registerTokenWeight } from './objectives/registry.ts';
export { defineTokenWeight, type TokenWeight } from './objectives/token-weights/token-weight.ts';
export { type BrowserRuntime, browserRuntime } from './runtime/browser.ts';
export { detectRuntime } from './runtime/index.ts';
export { MemoryFiles } from './runtime/memory-files.ts';
export { NoAdapterError } from './runtime/no-adapter.ts';
export type { FileSink, FileSource, FileSystem, Runtime } from './runtime/runtime.ts';
export { blobSource, fetchSource } from './runtime/web-sources.ts';
export type { ScoreSummary } from './score/score.ts';
export type { TrainConfigInput } from './train/config.ts';
export type { Metrics, RunStart, RunSummary, Sample, StepInfo, TrainHooks } from './train/hooks.ts';
