/** Strengths of players from games: P(a beats b) = σ(s_a - s_b) (Bradley and Terry 1952). */
import { uniformAt } from '../../data/random.ts';
import { type Interval, percentile } from '../statistics.ts';
import { fitWithPrior, logistic } from './logistic-regression.ts';

export interface Game {
  readonly first: string;
  readonly second: string;
  /** 1: the first wins, 0: the second, 0.5: a draw. */
  readonly score: number;
  /** A clear win counts as several games. */
  readonly weight: number;
}

/** The most probable strength of each player; the anchor's is 0. */
export function strengths(games: readonly Game[], anchor: string): Map<string, number> {
  const players = [...new Set(games.flatMap(({ first, second }) => [first, second]))].filter(
    (player) => player !== anchor,
  );
  const side = (game: Game, player: string) => Number(game.first === player) - Number(game.second === player);
  const fitted = fitWithPrior(
    games.map((game) => ({
      features: players.map((player) => side(game, player)),
      target: game.score,
      weight: game.weight,
    })),
    // A player that wins every game has no finite strength; this is too wide to matter for any other.
    players.map(() => ({ mean: 0, deviation: 10 })),
  );
  return new Map([[anchor, 0], ...players.map((player, i): [string, number] => [player, fitted[i]])]);
}

/** The probability that `player` beats the anchor, with the 5% and 95% percentiles of bootstraps over the games. */
export function winRate(
  games: readonly Game[],
  player: string,
  anchor: string,
  { rounds = 100, seed = 0 } = {},
): Interval & { readonly rate: number } {
  const rateOf = (some: readonly Game[]) => logistic(strengths(some, anchor).get(player) ?? 0);
  const rates = Array.from({ length: rounds }, (_, round) =>
    rateOf(games.map((_game, i) => games[Math.floor(uniformAt(seed, round, i) * games.length)])),
  ).sort((a, b) => a - b);
  return { rate: rateOf(games), low: percentile(rates, 0.05), high: percentile(rates, 0.95) };
}
