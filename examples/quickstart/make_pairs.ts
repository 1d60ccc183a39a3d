/**
 * Makes the quickstart's preference pairs out of the model itself, deterministically:
 *
 *   npx tsx examples/quickstart/make_pairs.ts
 *
 * For every opening a story is sampled and cut at a sentence; the model continues it eight times from there. Of these
 * endings, the best by the rule (rule.ts) that is in no part worse becomes the chosen answer, the other the rejected
 * one. Rows whose text does not tokenize to the sampled ids again are dropped.
 */
import { writeFileSync } from 'node:fs';
import { tokenDifferences } from '../../src/data/differences.ts';
import { loadTokenizer } from '../../src/data/load-tokenizer.ts';
import type { Tokenizer } from '../../src/data/tokenizer.ts';
import { type GenerateOptions, generate } from '../../src/generate/generator.ts';
import { Gpu } from '../../src/gpu/device.ts';
import { loadModel } from '../../src/models/loading/load.ts';
import { detectRuntime } from '../../src/runtime/index.ts';
import { heldOutOpenings, type Opening, trainingOpenings } from './openings.ts';
import { dominates, type StoryScore, sentenceEnds, storyScore, wholeSentences } from './rule.ts';

/** Response tokens of an answer at most. */
const LONGEST = 110;
const ENDINGS = 8;
/** The common part is as near to this share of LONGEST as a sentence end allows, and within these bounds. */
const COMMON = { wanted: 0.4, least: 0.25, most: 0.6 };
/** Answers of one pair differ in length by at most this share of the longer. */
const LENGTH_SLACK = 0.25;

interface Row {
  readonly prompt: string;
  readonly chosen: string;
  readonly rejected: string;
  readonly story: number;
}

interface Stem {
  readonly opening: Opening;
  readonly promptIds: readonly number[];
  readonly commonIds: readonly number[];
}

interface Candidate {
  readonly text: string;
  readonly ids: readonly number[];
  readonly score: StoryScore;
}

const runtime = await detectRuntime();
const gpu = await Gpu.open(runtime);
const directory = 'examples/stories260K';
const tokenizer = await loadTokenizer(runtime.files, directory);
const { model } = await loadModel(gpu, directory, { train: 'none', dtype: 'f32', positions: 512 });

await write('examples/quickstart/train.jsonl', trainingOpenings, 100);
await write('examples/quickstart/eval.jsonl', heldOutOpenings, 200);
gpu.close();

async function write(path: string, openings: readonly Opening[], seed: number): Promise<void> {
  const stems = await sampleStems(openings, seed);
  const endings = await sample(
    stems.flatMap((stem) => Array.from({ length: ENDINGS }, () => [...stem.promptIds, ...stem.commonIds])),
    LONGEST - Math.ceil(COMMON.least * LONGEST),
    seed + 1,
  );
  const rows: Row[] = [];
  const shares: number[] = [];
  stems.forEach((stem, s) => {
    const candidates = endings
      .slice(s * ENDINGS, (s + 1) * ENDINGS)
      .map((ids) => candidate(tokenizer, stem, ids))
      .filter((c) => c !== undefined);
    const pair = bestPair(candidates);
    if (pair === undefined) return;
    const [chosen, rejected] = pair;
    const masks = tokenDifferences(rejected.ids, chosen.ids, 'levenshtein');
    for (const mask of [masks.chosen, masks.rejected])
      shares.push(mask.reduce((n, v) => n + v, 0) / mask.length);
    rows.push({
      prompt: stem.opening.text,
      chosen: chosen.text,
      rejected: rejected.text,
      story: stem.opening.story,
    });
  });
  writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const varied = shares.reduce((a, b) => a + b, 0) / shares.length;
  console.log(
    `${path}: ${rows.length} rows of ${openings.length} openings, mean share of varied tokens ${varied.toFixed(3)}`,
  );
}

/** A story per opening, cut at the sentence end nearest to where the endings are to branch off. */
async function sampleStems(openings: readonly Opening[], seed: number): Promise<Stem[]> {
  const prompts = openings.map((opening) => tokenizer.encodePrompt(opening.text));
  const stories = await sample(prompts, LONGEST, seed);
  return openings.flatMap((opening, i): Stem[] => {
    const ids = stories[i].filter((id) => id > 2);
    const text = wholeSentences(tokenizer.decode(ids));
    const cuts = sentenceEnds(text)
      .map((end) => tokenizer.encodeContinuation(text.slice(0, end)))
      .filter(
        (cut) =>
          isPrefix(cut, ids) && cut.length >= COMMON.least * LONGEST && cut.length <= COMMON.most * LONGEST,
      );
    const distance = (cut: readonly number[]) => Math.abs(cut.length - COMMON.wanted * LONGEST);
    const [commonIds] = cuts.sort((a, b) => distance(a) - distance(b));
    return commonIds === undefined ? [] : [{ opening, promptIds: prompts[i], commonIds }];
  });
}

function sample(
  prompts: readonly (readonly number[])[],
  maxNewTokens: number,
  seed: number,
): Promise<number[][]> {
  const options: GenerateOptions = {
    temperature: 0.8,
    topK: 0,
    topP: 1,
    seed,
    maxNewTokens,
    eosIds: tokenizer.eosIds,
    adapter: true,
    batchSize: 256,
  };
  return generate(gpu, model, prompts, options);
}

/** An answer of whole sentences that tokenizes to the ids that were sampled, or nothing. */
function candidate(tokenizer: Tokenizer, stem: Stem, ending: readonly number[]): Candidate | undefined {
  const sampled = [...stem.commonIds, ...ending.filter((id) => id > 2)].slice(0, LONGEST);
  const text = wholeSentences(tokenizer.decode(sampled));
  const ids = tokenizer.encodeContinuation(text);
  const common = tokenizer.decode([...stem.commonIds]);
  if (!isPrefix(ids, sampled) || text.length <= common.length + 10) return undefined;
  return { text, ids, score: storyScore(text, stem.opening.text) };
}

/** The ordered pair with the largest difference in score, then the smallest in length. */
function bestPair(candidates: readonly Candidate[]): [Candidate, Candidate] | undefined {
  const pairs = candidates.flatMap((w) => candidates.map((l): [Candidate, Candidate] => [w, l]));
  const lengthGap = ([w, l]: [Candidate, Candidate]) => Math.abs(w.ids.length - l.ids.length);
  const scoreGap = ([w, l]: [Candidate, Candidate]) => w.score.score - l.score.score;
  return pairs
    .filter(
      (p) =>
        dominates(p[0].score, p[1].score) &&
        lengthGap(p) <= LENGTH_SLACK * Math.max(p[0].ids.length, p[1].ids.length),
    )
    .sort((a, b) => scoreGap(b) - scoreGap(a) || lengthGap(a) - lengthGap(b))[0];
}

function isPrefix(prefix: readonly number[], of: readonly number[]): boolean {
  return prefix.every((id, i) => of[i] === id);
}
