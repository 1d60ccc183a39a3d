/** What LaTeX's commands mean in an answer. */
import type { Relation } from './expression.ts';

/** Relations as LaTeX and plain text write them. */
export const RELATIONS: Readonly<Record<string, Relation>> = {
  '=': '=',
  equiv: '=',
  approx: '≈',
  sim: '≈',
  simeq: '≈',
  ne: '≠',
  neq: '≠',
  '<': '<',
  lt: '<',
  le: '≤',
  leq: '≤',
  leqslant: '≤',
  '>': '>',
  gt: '>',
  ge: '≥',
  geq: '≥',
  geqslant: '≥',
  in: '∈',
};
/** Operators between sets, and the colon of a ratio. */
export const UNIONS: Readonly<Record<string, string>> = {
  cup: 'union',
  cap: 'intersect',
  setminus: 'minus',
  backslash: 'minus',
  ':': 'ratio',
};
/** Operators between terms. */
export const SIGNS: Readonly<Record<string, string>> = { '+': 'add', '-': 'subtract', pm: 'pm', mp: 'mp' };
/** Operators between factors. */
export const PRODUCTS: Readonly<Record<string, string>> = {
  '*': 'multiply',
  cdot: 'multiply',
  times: 'multiply',
  '/': 'divide',
  div: 'divide',
};
/** Words that multiply the number before them. */
export const SCALES: Readonly<Record<string, string>> = {
  hundred: '100',
  thousand: '1000',
  million: '1000000',
  billion: '1000000000',
  trillion: '1000000000000',
};

/** Functions of one argument by the name that mathjs, or numeric.ts, computes them under. */
export const FUNCTIONS: Readonly<Record<string, string>> = {
  sin: 'sin',
  cos: 'cos',
  tan: 'tan',
  cot: 'cot',
  sec: 'sec',
  csc: 'csc',
  arcsin: 'arcsin',
  arccos: 'arccos',
  arctan: 'arctan',
  sinh: 'sinh',
  cosh: 'cosh',
  tanh: 'tanh',
  ln: 'ln',
  log: 'log',
  lg: 'lg',
  exp: 'exp',
  det: 'det',
  min: 'min',
  max: 'max',
  gcd: 'gcd',
  lcm: 'lcm',
};

/** Commands that stand for a value or a variable. */
export const SYMBOLS: Readonly<Record<string, string>> = {
  pi: 'π',
  infty: '∞',
  infinity: '∞',
  emptyset: '∅',
  varnothing: '∅',
  circ: '∘',
  alpha: 'α',
  beta: 'β',
  gamma: 'γ',
  delta: 'δ',
  epsilon: 'ε',
  varepsilon: 'ε',
  zeta: 'ζ',
  eta: 'η',
  theta: 'θ',
  vartheta: 'θ',
  iota: 'ι',
  kappa: 'κ',
  lambda: 'λ',
  mu: 'μ',
  nu: 'ν',
  xi: 'ξ',
  rho: 'ρ',
  sigma: 'σ',
  tau: 'τ',
  phi: 'φ',
  varphi: 'φ',
  chi: 'χ',
  psi: 'ψ',
  omega: 'ω',
  Gamma: 'Γ',
  Delta: 'Δ',
  Theta: 'Θ',
  Lambda: 'Λ',
  Sigma: 'Σ',
  Phi: 'Φ',
  Psi: 'Ψ',
  Omega: 'Ω',
  ell: 'ℓ',
  dots: '…',
  ldots: '…',
  cdots: '…',
};

/** Operators with bounds. Two answers with them are equal if their parts are. */
export const OPAQUE_OPERATORS: ReadonlySet<string> = new Set(['sum', 'prod', 'int', 'lim', 'iint', 'oint']);
