/**
 * What the page and the benchmarks drive that the API (index.ts) does not show: one device for several models, training
 * step by step on rows that are tokens already, scores of single pairs. It is not published, so it may change with them;
 * benchmarks of kernels also use the entries of gpu/ and ops/.
 */
export { computeCase } from './cases/compute.ts';
export type { CasePair } from './cases/file.ts';
export { ChatTemplate } from './data/chat-template.ts';
export type { Example, PairExample } from './data/examples.ts';
export { loadTokenizer, type ReadFiles } from './data/load-tokenizer.ts';
export { tokenizePair } from './data/pair-text.ts';
export { normalAt, randomWord, uniformAt } from './data/random.ts';
export { readRow } from './data/rows.ts';
export { readRows } from './data/sources/read-rows.ts';
export { tokenBlocks } from './data/token-blocks.ts';
export type { Tokenizer } from './data/tokenizer.ts';
export { writeDirectory } from './formats/directory-writer.ts';
export { decodeFloats, encodeFloats } from './formats/half.ts';
export { writeSafetensors } from './formats/safetensors-writer.ts';
export { Engine } from './generate/engine.ts';
export { generate as generateTokens } from './generate/generator.ts';
export { Gpu } from './gpu/device.ts';
export { formatBytes } from './gpu/memory.ts';
export { type LoadedModel, loadModel } from './models/loading/load.ts';
export { loadWithAdapter } from './models/loading/load-with-adapter.ts';
export { describeModel } from './models/registry.ts';
export { ParameterSlabs } from './nn/parameters.ts';
export { makeRotaryTable, rotaryFrequencies } from './nn/rotary-table.ts';
export { type ActiveObjective, activate } from './objectives/choice.ts';
export { epsilonSteps } from './objectives/probes.ts';
export { Optimizer } from './optim/optimizer.ts';
export { updateRule } from './optim/registry.ts';
export { inputSchema, type ValueSchema } from './schema-problems.ts';
export { type ScoredAnswer, scoreRecords, sum } from './score/record.ts';
export { PAIRS_TOGETHER, Scorer } from './score/scorer.ts';
export { type TrainConfig, trainConfigFrom } from './train/config.ts';
export { chooseKernels } from './train/kernel-choices.ts';
export { loadPolicy, locatePolicy } from './train/policy.ts';
export { plannedReference, prepareReference } from './train/reference.ts';
export { trainedModelFiles } from './train/saving.ts';
export { SteppedRun } from './train/stepped-run.ts';
export { Trainer } from './train/trainer.ts';
