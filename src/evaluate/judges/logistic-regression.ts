/**
 * Logistic regression with few features and targets in 0..1. The loss of an observation is the cross-entropy
 * w (-y log σ(β·x) - (1-y) log(1 - σ(β·x))).
 */

export interface Observation {
  readonly features: readonly number[];
  /** 0..1 */
  readonly target: number;
  readonly weight: number;
}

/** A normal distribution that a coefficient is expected to come from. */
export interface Prior {
  readonly mean: number;
  readonly deviation: number;
}

export const logistic = (x: number): number => 1 / (1 + Math.exp(-x));

const MAX_STEPS = 100;
const TOLERANCE = 1e-12;
/** Keeps the system solvable where a feature is zero everywhere. */
const RIDGE = 1e-9;

/** The most probable coefficients under the priors, by Newton steps; undefined: no prior. */
export function fitWithPrior(
  observations: readonly Observation[],
  priors: readonly (Prior | undefined)[],
): number[] {
  let beta = priors.map((prior) => prior?.mean ?? 0);
  for (let step = 0; step < MAX_STEPS; step++) {
    const { gradient, hessian } = derivatives(observations, beta);
    priors.forEach((prior, j) => {
      if (prior === undefined) return;
      gradient[j] += (beta[j] - prior.mean) / prior.deviation ** 2;
      hessian[j][j] += 1 / prior.deviation ** 2;
    });
    const change = solve(hessian, gradient);
    // A step of more than 2 in log-odds overshoots.
    const scale = Math.min(1, 2 / Math.max(...change.map(Math.abs), TOLERANCE));
    beta = beta.map((value, j) => value - scale * change[j]);
    if (Math.max(...change.map(Math.abs)) < TOLERANCE) break;
  }
  return beta;
}

function derivatives(observations: readonly Observation[], beta: readonly number[]) {
  const gradient = beta.map(() => 0);
  const hessian = beta.map(() => beta.map(() => 0));
  for (const { features, target, weight } of observations) {
    const p = logistic(features.reduce((sum, x, j) => sum + x * beta[j], 0));
    const curvature = weight * p * (1 - p);
    features.forEach((x, j) => {
      gradient[j] += weight * (p - target) * x;
      features.forEach((y, k) => {
        hessian[j][k] += curvature * x * y;
      });
    });
  }
  beta.forEach((_, j) => {
    hessian[j][j] += RIDGE;
  });
  return { gradient, hessian };
}

/** A x = b by Gauss-Jordan elimination with pivots. */
function solve(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const rows = matrix.map((row, i) => [...row, right[i]]);
  for (let column = 0; column < rows.length; column++) {
    let pivot = column;
    for (let i = column + 1; i < rows.length; i++)
      if (Math.abs(rows[i][column]) > Math.abs(rows[pivot][column])) pivot = i;
    [rows[column], rows[pivot]] = [rows[pivot], rows[column]];
    for (let i = 0; i < rows.length; i++) {
      if (i === column) continue;
      const factor = rows[i][column] / rows[column][column];
      rows[i] = rows[i].map((value, j) => value - factor * rows[column][j]);
    }
  }
  return rows.map((row, i) => row[rows.length] / row[i]);
}

/** Weights of the loss against |β|, as scikit-learn tries them: ten from 1e-4 to 1e4. */
const STRENGTHS = Array.from({ length: 10 }, (_, i) => 10 ** (-4 + (8 * i) / 9));

/** min |β|₁ + C Σ loss, with the C of the least loss on held-out folds. */
export function fitLasso(observations: readonly Observation[], folds: number): number[] {
  const losses = STRENGTHS.map((strength) => heldOutLoss(observations, folds, strength));
  return lasso(observations, STRENGTHS[losses.indexOf(Math.min(...losses))]);
}

function heldOutLoss(observations: readonly Observation[], folds: number, strength: number): number {
  let sum = 0;
  for (let fold = 0; fold < folds; fold++) {
    // scikit-learn deals groups of equal size out from the last one.
    const isHeldOut = (i: number): boolean => (observations.length - 1 - i) % folds === fold;
    const beta = lasso(
      observations.filter((_, i) => !isHeldOut(i)),
      strength,
    );
    const held = observations.filter((_, i) => isHeldOut(i));
    sum += totalLoss(held, beta) / held.length;
  }
  return sum / folds;
}

function totalLoss(observations: readonly Observation[], beta: readonly number[]): number {
  return observations.reduce((sum, { features, target, weight }) => {
    const score = features.reduce((dot, x, j) => dot + x * beta[j], 0);
    // log(1 + e^s) - y s
    const softplus = Math.max(score, 0) + Math.log1p(Math.exp(-Math.abs(score)));
    return sum + weight * (softplus - target * score);
  }, 0);
}

/** Proximal Newton: the quadratic model of the loss is minimized with |β|₁ by coordinate descent, then halved back. */
function lasso(observations: readonly Observation[], strength: number): number[] {
  let beta = observations[0].features.map(() => 0);
  const objective = (b: readonly number[]): number =>
    b.reduce((sum, value) => sum + Math.abs(value), 0) + strength * totalLoss(observations, b);
  for (let step = 0; step < MAX_STEPS; step++) {
    const { gradient, hessian } = derivatives(observations, beta);
    const target = coordinateDescent(beta, gradient, hessian, strength);
    const before = objective(beta);
    let scale = 1;
    const moved = () => beta.map((value, j) => value + scale * (target[j] - value));
    while (scale > 1e-6 && objective(moved()) > before) scale /= 2;
    const next = moved();
    const change = Math.max(...next.map((value, j) => Math.abs(value - beta[j])));
    beta = next;
    if (change < 1e-9) break;
  }
  return beta;
}

/** min over b of |b|₁ + C (g·(b - β) + ½ (b - β)ᵀ H (b - β)) */
function coordinateDescent(
  beta: readonly number[],
  gradient: readonly number[],
  hessian: readonly (readonly number[])[],
  strength: number,
): number[] {
  const b = [...beta];
  for (let sweep = 0; sweep < 200; sweep++) {
    let change = 0;
    for (let j = 0; j < b.length; j++) {
      const slope = gradient[j] + hessian[j].reduce((sum, h, k) => sum + h * (b[k] - beta[k]), 0);
      const curvature = hessian[j][j];
      const center = b[j] - slope / curvature;
      const next = Math.sign(center) * Math.max(0, Math.abs(center) - 1 / (strength * curvature));
      change = Math.max(change, Math.abs(next - b[j]));
      b[j] = next;
    }
    if (change < 1e-12) break;
  }
  return b;
}
