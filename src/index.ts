/// <reference types="@webgpu/types" preserve="true" />
/**
 * What `import ... from 'prefgrad'` gives, in Node, Deno and the browser alike.
 *
 *   const runtime = await detectRuntime();
 *   const summary = await train(runtime, trainConfigFrom({ ... }), hooks);
 *
 * `registerObjective(defineObjective({ ... }))` and `registerTokenWeight(defineTokenWeight({ ... }))` add a method or a
 * token weight of one's own, which a configuration then names. `train` runs a whole job; `Trainer` advances one optimizer step at a time, for pages that watch. In a browser,
 * `browserRuntime()` has a tree of files in memory: put blobs and URLs there before a model is loaded from it.
 */
export { DEFAULT_COLUMNS } from './data/columns.ts';
export type { Answer, Example, PairExample, UnpairedExample } from './data/examples.ts';
export { loadTokenizer } from './data/load-tokenizer.ts';
export { prepareDataset, streamExamples } from './data/prepare.ts';
export type { Tokenizer } from './data/tokenizer.ts';
export { InputError, InputErrors, RunError } from './errors.ts';
export { Engine, type EngineOptions } from './generate/engine.ts';
export { generate } from './generate/generator.ts';
export type { GenerationEvent, GenerationRequest } from './generate/request.ts';
export { Gpu, type GpuOptions } from './gpu/device.ts';
export { type LoadedModel, type LoadOptions, loadModel } from './models/loading/load.ts';
export { loadWithAdapter } from './models/loading/load-with-adapter.ts';
export { type ActiveObjective, activate, type ObjectiveChoice } from './objectives/choice.ts';
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
export { type ScoreOptions, scoreFile as score } from './score/score.ts';
export {
  type TrainConfig,
  type TrainConfigInput,
  trainConfigFrom,
  trainingSettings,
} from './train/config.ts';
export type { Metrics, RunSummary, StepInfo, TrainHooks } from './train/hooks.ts';
export { referenceFrom, type TrainerReference } from './train/reference-form.ts';
export { type TrainOptions, train } from './train/train.ts';
export { type QueuedStep, type StepReport, Trainer, type TrainerOptions } from './train/trainer.ts';
