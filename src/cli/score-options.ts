/** What `prefgrad score` asks for, and the function that does it, loaded when called so that `--help` stays fast. */
export type { ScoreOptions, ScoreSummary } from '../score/score.ts';

export const loadScore = () => import('../score/score.ts');
