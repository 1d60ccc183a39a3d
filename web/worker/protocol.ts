/**
 * What the page and the engine's worker say to each other. Everything crosses by structured clone; the page imports
 * types from this file and nothing else of the worker. A worker error arrives as an `Error` whose message is a sentence
 * for the user.
 */

/** The adapter that was opened; `limits` are the ones a model can run into. */
export interface AdapterSummary {
  readonly description: string;
  readonly vendor: string;
  readonly architecture: string;
  readonly isFallback: boolean;
  readonly maxBindingBytes: number;
}

/** Models the page knows by name. `policy` is the one that is trained in the tab. */
export type ModelSlot = 'reference' | 'policy' | (string & {});

/** Where a model lies: a folder at an absolute address, or files that the user dropped. */
export type ModelSource =
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'files'; readonly files: readonly NamedFile[] };

export interface NamedFile {
  /** Path inside the dropped folder, with forward slashes. */
  readonly path: string;
  readonly file: Blob;
}

export interface ModelSummary {
  readonly slot: ModelSlot;
  readonly architecture: string;
  readonly parameters: number;
  readonly vocabSize: number;
  readonly maxPositions: number;
  readonly gpuBytes: number;
  /** Set when an adapter was applied to a base model. */
  readonly adapter: string | undefined;
}

/** One row as the page edits it. Conversational rows arrive with their template applied. */
export interface PairText {
  readonly prompt: string;
  /** The prompt where only its ids are known, as in score files of earlier versions. */
  readonly promptIds?: readonly number[];
  readonly chosen: string;
  readonly rejected: string;
}

export interface MethodChoice {
  readonly name: string;
  readonly settings: Readonly<Record<string, unknown>>;
  /** `{}` for the defaults; absent for no BMC weights. */
  readonly bmc?: Readonly<Record<string, unknown>>;
}

export interface ScoreRequest {
  readonly pair: PairText;
  readonly policy: ModelSlot;
  readonly reference: ModelSlot | undefined;
  readonly method: MethodChoice;
  /** Also entropy, KL, ranks and top-5 per token; a good deal slower. */
  readonly details: boolean;
}

/** One of the most probable next tokens. */
export interface Candidate {
  readonly id: number;
  readonly token: string;
  readonly logp: number;
}

/**
 * One side of a scored pair: the fields of a line of `prefgrad score`, each an array over the answer's tokens
 * (including EOS), and what only the page asks for.
 */
export interface ScoredSide {
  readonly token_ids: readonly number[];
  readonly tokens: readonly string[];
  /** What a reader sees of each token: a character that several tokens make stands at the last of them. */
  readonly texts?: readonly string[];
  readonly logps: readonly number[];
  readonly ref_logps?: readonly number[];
  /** 1 where the token differs from the other side. */
  readonly diff: readonly (0 | 1)[];
  /** BMC's lambda. */
  readonly weights?: readonly number[];
  /** beta (logp - ref_logp), unweighted. */
  readonly rewards?: readonly number[];
  /** Terms whose sum is the reward that the method logs. */
  readonly contributions?: readonly number[];
  /** Nats, under the policy. */
  readonly entropy?: readonly number[];
  /** KL(policy || reference) of the next-token distribution, nats. */
  readonly kl?: readonly number[];
  /** 0 is the most probable token. */
  readonly ranks?: readonly number[];
  readonly ref_ranks?: readonly number[];
  readonly top?: readonly (readonly Candidate[])[];
  readonly ref_top?: readonly (readonly Candidate[])[];
  /** Tokens behind these that were cut off, because the pair is longer than the model's positions. */
  readonly cut: readonly string[];
}

export interface ScoredPair {
  readonly prompt: { readonly token_ids: readonly number[]; readonly tokens: readonly string[] };
  readonly chosen: ScoredSide;
  readonly rejected: ScoredSide;
  /** chosen reward minus rejected reward as the method logs them; absent without a reference where one is needed. */
  readonly margin?: number;
  /** Sums of contributions. */
  readonly sums?: { readonly chosen: number; readonly rejected: number };
  readonly loss?: number;
}

/** One row of the table of pairs; sums over the answer's tokens under reference and policy. */
export interface PairStatistics {
  readonly index: number;
  /** Difference of the summed log-ratios of chosen and rejected, nats (no beta). */
  readonly margin: number;
  /** MIPO's K: difference of the reference's mean log-probs. */
  readonly K: number;
  /** epsilon-DPO's step: -1, 0 or 1; undefined where only a score file is known. */
  readonly step: -1 | 0 | 1 | undefined;
  /** The policy prefers the other answer than the reference does. */
  readonly flipped: boolean;
  /** The policy's -log p of varied tokens, one list per span of them. */
  readonly spans: { readonly chosen: readonly number[][]; readonly rejected: readonly number[][] };
}

export interface TrainRequest {
  readonly method: MethodChoice;
  readonly learningRate: number;
  readonly batchSize: number;
  readonly steps: number;
  readonly seed: number;
  readonly start: ModelSlot;
  /** Trains a low-rank update of this rank; absent: all weights, or the adapter that the start has. */
  readonly lora?: { readonly r: number };
  readonly pairs: readonly PairText[];
  /** Whose token colours are sent along with every step. */
  readonly watch: PairText | undefined;
}

/** TRL's metric names, as in metrics.jsonl. */
export interface StepReport {
  readonly step: number;
  readonly metrics: Readonly<Record<string, number>>;
  readonly tokensPerSecond: number;
  readonly gpuBytes: number;
  readonly watched: ScoredPair | undefined;
  /** A checkpoint of this step is in the browser's storage, so that a reloaded page can continue from it. */
  readonly isKept: boolean;
}

/** A run that an earlier page has left in the browser's storage. */
export interface KeptRun {
  readonly request: Omit<TrainRequest, 'pairs'>;
  /** Steps done. */
  readonly step: number;
  /** Lines of its metrics.jsonl. */
  readonly metrics: readonly (Readonly<Record<string, number>> & { readonly step: number })[];
}

export type TrainState = 'idle' | 'preparing' | 'running' | 'paused' | 'finished' | 'failed';

/** One sampled curve of the playground, computed by the objective's production code. */
export interface PlaygroundRequest {
  readonly method: MethodChoice;
  /** Policy margins (sum of chosen minus sum of rejected log-probs) at which the loss is evaluated. */
  readonly margins: readonly number[];
  /** Reference margins, one curve each. */
  readonly referenceMargins: readonly number[];
  /** Tokens per answer. */
  readonly length: number;
}

export interface PlaygroundCurve {
  readonly referenceMargin: number;
  readonly loss: readonly number[];
  /** -dLoss/dPw: how hard the method pulls the chosen answer up. */
  readonly gradientWeight: readonly number[];
  /** epsilon-DPO's beta of every pair. */
  readonly betas?: readonly number[];
}

/** BMC's weight of a varied token against its probability, computed by the production kernel. */
export interface LambdaRequest {
  readonly delta: number;
  /** Between 0 and 1, neither of them. */
  readonly probabilities: readonly number[];
}

export interface GenerateRequest {
  readonly model: ModelSlot;
  readonly prompt: string;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly seed: number;
}

export interface MethodSummary {
  readonly name: string;
  readonly formula: string;
  readonly paper: string;
  readonly needsReference: boolean;
  readonly rows: 'pairs' | 'labels' | 'chosen';
  /** The loss of a pair is a function of the margin between its answers. */
  readonly dependsOnMargin: boolean;
  readonly takesBmc: boolean;
  readonly settings: readonly SettingSummary[];
}

export interface SettingSummary {
  readonly name: string;
  readonly kind: 'number' | 'integer' | 'boolean' | 'choice';
  /** undefined: the method works it out from its other settings. */
  readonly default: number | boolean | string | undefined;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly choices?: readonly string[];
  readonly description: string;
}

/** The engine as the page sees it through comlink. Calls are served in order; only scores can be overtaken. */
export interface EngineApi {
  /** @throws when WebGPU is missing or gives no adapter; the message says which browsers and flags have it. */
  open(): Promise<AdapterSummary>;
  loadModel(slot: ModelSlot, source: ModelSource): Promise<ModelSummary>;
  freeModel(slot: ModelSlot): Promise<void>;
  /** Rows of a JSONL or JSON file in any layout that training takes. @throws with file and line. */
  readPairs(name: string, file: Blob): Promise<readonly PairText[]>;
  /** @returns undefined when a later score call of the same `lane` came in before this one was run. */
  score(lane: string, request: ScoreRequest): Promise<ScoredPair | undefined>;
  /**
   * Statistics of many pairs, reported in groups as they are known until `onRows` says that it wants no more; pairs that
   * cannot be scored are left out.
   */
  statistics(
    pairs: readonly PairText[],
    policy: ModelSlot,
    reference: ModelSlot,
    onRows: (rows: readonly PairStatistics[]) => boolean | Promise<boolean>,
  ): Promise<void>;
  /** `onText` gets the whole continuation so far. */
  generate(request: GenerateRequest, onText: (text: string) => void): Promise<string>;
  methods(): Promise<readonly MethodSummary[]>;
  playground(request: PlaygroundRequest): Promise<readonly PlaygroundCurve[]>;
  /** lambda of each probability. */
  lambda(request: LambdaRequest): Promise<readonly number[]>;
  /** Prepares a run and leaves it paused before step 0. */
  prepareTraining(request: TrainRequest, onProgress: (text: string) => void): Promise<void>;
  /** Runs until `pause` or the last step; `onStep` is called once a step. */
  train(onStep: (report: StepReport) => void): Promise<TrainState>;
  step(): Promise<StepReport>;
  pause(): Promise<void>;
  /** Throws the trained policy away, and what is kept of it. */
  resetTraining(): Promise<void>;
  /** The run that a page before this one has left; undefined where there is none. */
  keptRun(): Promise<KeptRun | undefined>;
  /** Prepares that run from its checkpoint and leaves it paused. Its start is loaded from it where the engine has none. */
  continueTraining(onProgress: (text: string) => void): Promise<void>;
  /** The run as a directory of `prefgrad train`, with a checkpoint of the steps done: 'prefgrad-run/config.yaml', ... */
  exportRun(): Promise<readonly NamedFile[]>;
  /** The trained weights as files of a Hugging Face directory; an adapter comes with its base: base/ and adapter/. */
  exportPolicy(): Promise<readonly NamedFile[]>;
  /** Told how far the compilation of kernels is: 'compiled 14 of 31 kernels'; '' when all are there. */
  onProgress(callback: (text: string) => void): Promise<void>;
  /** Called once if the device is lost; the engine is closed then and `open` may be called again. */
  onDeviceLost(callback: (reason: string) => void): Promise<void>;
  gpuBytes(): Promise<number>;
}
