/** What `prefgrad score` asks for, and the function that does it, loaded when called so that `--help` stays fast. */
export type { ScoreOptions } from '../evaluate/score.ts';

export const loadScore = () => import('../evaluate/score.ts');
