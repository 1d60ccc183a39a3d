/** Analyses by the names of the papers' figures. */
import { InputError } from '../errors.ts';
import { nearest } from '../nearest.ts';
import type { Result } from './figure.ts';
import {
  bridgingCost,
  klOverSteps,
  rewardTable,
  runTimes,
  splitsByDistance,
  surpriseInSpans,
  tokenRewards,
} from './figures/bmc.ts';
import { betaSteps, extremePairs, marginsByStep } from './figures/epsilon-dpo.ts';
import { firstLoss, gainsByPart, gainsOverSteps, lossOverGap, lowestPairs } from './figures/mipo.ts';
import { metricOverKl, overSetting, SWEEPS, settingsTable } from './figures/sweeps.ts';
import { type Material, MissingSource } from './material.ts';

export interface Analysis {
  /** Where it is in the paper, and what it shows. */
  readonly summary: string;
  /** @throws MissingSource where the material lacks something */
  make(material: Material): Result[];
}

export const analyses: Readonly<Record<string, Analysis>> = {
  'mipo-3': { summary: 'a metric over beta', make: (from) => overSetting(from, SWEEPS.mipo3) },
  'mipo-4': { summary: 'gain at the lowest and highest 20% by K, over the steps', make: gainsOverSteps },
  'mipo-5': { summary: 'loss of the first step over K', make: firstLoss },
  'mipo-6': { summary: "loss over the policy's gap at low and high K", make: lossOverGap },
  'mipo-7': { summary: 'gain in five parts by K', make: gainsByPart },
  'mipo-d': { summary: 'pairs of lowest K', make: lowestPairs },
  'epsilon-3': { summary: 'betas that move, KL and a metric per 0.2 epochs', make: betaSteps },
  'epsilon-4a': { summary: 'margins of pairs whose beta moves', make: marginsByStep },
  'epsilon-4b': { summary: 'a metric over KL', make: (from) => metricOverKl(from, from.kl) },
  'epsilon-d': { summary: 'extremes of the pairs whose beta moves', make: extremePairs },
  'epsilon-table-3': { summary: 'settings and what came of them', make: settingsTable },
  'bmc-2': { summary: 'surprise by place in a span of varied tokens', make: surpriseInSpans },
  'bmc-3': {
    summary: 'a metric over the share of bridged data',
    make: (from) => overSetting(from, SWEEPS.bmc3),
  },
  'bmc-4': { summary: 'a metric over delta', make: (from) => overSetting(from, SWEEPS.bmc4) },
  'bmc-5': { summary: 'six splits by edit distance', make: splitsByDistance },
  'bmc-6': { summary: 'token rewards of a pair', make: tokenRewards },
  'bmc-5.3': { summary: 'margin and accuracy on held-out pairs', make: rewardTable },
  'bmc-9': { summary: 'KL over the steps', make: klOverSteps },
  'bmc-table-9': { summary: 'cost of making the data', make: bridgingCost },
  'bmc-table-10': { summary: 'run time relative to the first run', make: runTimes },
};

export interface Made {
  readonly results: readonly Result[];
  /** Analyses that lack a source, with what they lack. */
  readonly missing: readonly string[];
}

/** Makes those that are named. @throws InputError for an unknown name, MissingSource for a source that is not there */
export function analyze(names: readonly string[], material: Material): Result[] {
  return names.flatMap((name) => {
    const analysis = Object.hasOwn(analyses, name) ? analyses[name] : undefined;
    if (analysis === undefined) {
      const known = Object.keys(analyses);
      throw new InputError(
        `${name}: no such analysis; did you mean ${nearest(name, known)}? "prefgrad analyze" lists them.`,
      );
    }
    try {
      return analysis.make(material);
    } catch (error) {
      if (error instanceof MissingSource) throw new MissingSource(`${name} ${error.message}`);
      throw error;
    }
  });
}

/** Makes everything that the material is enough for. */
export function analyzeAll(material: Material): Made {
  const results: Result[] = [];
  const missing: string[] = [];
  for (const name of Object.keys(analyses)) {
    try {
      results.push(...analyze([name], material));
    } catch (error) {
      if (!(error instanceof MissingSource)) throw error;
      missing.push(error.message);
    }
  }
  return { results, missing };
}
