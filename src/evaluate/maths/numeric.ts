/**
 * Values of formulas, and whether two formulas have the same. Formulas without variables are computed with 64 digits.
 * With variables they are compared at sample points: two different expressions agree at random points with
 * probability zero, and no simplifier has to find out how one becomes the other. Every evaluation takes a number of
 * operations that is bounded by the length of the formula (and MAX_FACTORIAL), so no answer can stall a grader.
 */
import { all, type BigNumber, create, type MathType } from 'mathjs';
import { type Expression, isClosed, partsOf, some } from './expression.ts';

const DIGITS = 64;
const math = create(all, { number: 'BigNumber', precision: DIGITS });

/** 5000! has 16,326 digits; larger ones are compared as written. */
const MAX_FACTORIAL = 5000;
/** 10^10^10 has no value here. */
const MAX_EXPONENT = 1e6;

/** What cannot be computed: infinity, sets, words, overflow. */
class Uncomputable extends Error {}

/** Values of variables in a sample; with exact arithmetic there are none. */
type Point = (name: string) => number;

interface Arithmetic {
  readonly literal: (text: string) => MathType;
  readonly symbol: (name: string) => MathType;
}

const PI = math.acos(math.bignumber(-1)) as BigNumber;
const E = math.exp(math.bignumber(1));

const EXACT: Arithmetic = {
  literal: (text) => math.bignumber(text),
  symbol: (name) => {
    if (name === 'π') return PI;
    if (name === 'e') return E;
    if (name === 'i') return math.complex(0, 1);
    throw new Uncomputable(name);
  },
};

const at = (point: Point): Arithmetic => ({
  literal: Number,
  symbol: (name) => {
    if (name === 'π') return Math.PI;
    if (name === 'e') return Math.E;
    if (name === 'i') return math.complex(0, 1);
    if (name === '∞' || name === '∅' || name === '…') throw new Uncomputable(name);
    return point(name);
  },
});

const TRIGONOMETRIC = new Set(['sin', 'cos', 'tan', 'cot', 'sec', 'csc']);
const UNARY: Readonly<Record<string, (x: MathType) => MathType>> = {
  negate: (x) => math.unaryMinus(x),
  percent: (x) => x,
  degrees: (x) => x,
  sqrt: (x) => math.sqrt(x as BigNumber),
  abs: (x) => math.abs(x as BigNumber),
  floor: (x) => math.floor(x as BigNumber),
  ceil: (x) => math.ceil(x as BigNumber),
  exp: (x) => math.exp(x as BigNumber),
  ln: (x) => math.log(x as BigNumber),
  lg: (x) => math.log10(x as BigNumber),
  sin: (x) => math.sin(x as BigNumber),
  cos: (x) => math.cos(x as BigNumber),
  tan: (x) => math.tan(x as BigNumber),
  cot: (x) => math.cot(x as BigNumber),
  sec: (x) => math.sec(x as BigNumber),
  csc: (x) => math.csc(x as BigNumber),
  arcsin: (x) => math.asin(x as BigNumber),
  arccos: (x) => math.acos(x as BigNumber),
  arctan: (x) => math.atan(x as BigNumber),
  sinh: (x) => math.sinh(x as BigNumber),
  cosh: (x) => math.cosh(x as BigNumber),
  tanh: (x) => math.tanh(x as BigNumber),
  factorial: (x) => factorial(x),
  det: (x) => math.det(x as math.Matrix) as MathType,
};
const BINARY: Readonly<Record<string, (x: MathType, y: MathType) => MathType>> = {
  add: (x, y) => math.add(x, y),
  subtract: (x, y) => math.subtract(x, y),
  multiply: (x, y) => math.multiply(x, y),
  divide: (x, y) => math.divide(x, y),
  ratio: (x, y) => math.divide(x, y),
  power: (x, y) => power(x, y),
  root: (x, y) => root(x, y),
  log: (x, y) => math.divide(math.log(x as BigNumber), math.log(y as BigNumber)),
  binomial: (n, k) =>
    math.divide(factorial(n), math.multiply(factorial(k), factorial(math.subtract(n, k)))) as MathType,
};

/** Of the numbers in brackets: gcd(12, 18). */
const OF_MANY: Readonly<Record<string, (values: BigNumber[]) => MathType>> = {
  gcd: (values) => values.reduce((a, b) => math.gcd(a, b)),
  lcm: (values) => values.reduce((a, b) => math.lcm(a, b)),
  min: (values) => math.min(...values),
  max: (values) => math.max(...values),
};

function evaluate(expression: Expression, arithmetic: Arithmetic): MathType {
  switch (expression.type) {
    case 'number':
      return arithmetic.literal(expression.text);
    case 'symbol':
      return arithmetic.symbol(expression.name);
    case 'matrix':
      return math.matrix(
        expression.rows.map((row) => row.map((entry) => evaluate(entry, arithmetic) as BigNumber)),
      );
    case 'call':
      return applied(expression.name, expression.args, arithmetic);
    default:
      throw new Uncomputable(expression.type);
  }
}

function applied(name: string, args: readonly Expression[], arithmetic: Arithmetic): MathType {
  const [first] = args;
  if (Object.hasOwn(OF_MANY, name) && first.type === 'sequence')
    return OF_MANY[name](first.items.map((item) => evaluate(item, arithmetic) as BigNumber));
  const values = args.map((arg) => evaluate(arg, arithmetic));
  const degrees = TRIGONOMETRIC.has(name) && args.some((arg) => some(arg, isDegrees));
  if (degrees) {
    const half = math.divide(arithmetic.symbol('π'), arithmetic.literal('180'));
    return UNARY[name](math.multiply(values[0], half));
  }
  if (values.length === 1 && Object.hasOwn(UNARY, name)) return UNARY[name](values[0]);
  if (values.length === 2 && Object.hasOwn(BINARY, name)) return BINARY[name](values[0], values[1]);
  throw new Uncomputable(name);
}

const isDegrees = (part: Expression): boolean => part.type === 'call' && part.name === 'degrees';

/** 0!, 1!, 2!, ... as far as they have been needed: an answer may name hundreds of them. */
const factorials: BigNumber[] = [math.bignumber(1)];

/** n! = Γ(n + 1), by products for integers. */
function factorial(n: MathType): MathType {
  const value = Number(math.format(n));
  if (!(value >= 0 && value <= MAX_FACTORIAL)) throw new Uncomputable('factorial');
  if (!Number.isInteger(value)) return math.gamma(value + 1);
  for (let k = factorials.length; k <= value; k++) factorials.push(factorials[k - 1].times(k));
  return math.isBigNumber(n) ? factorials[value] : Number(factorials[value]);
}

function power(base: MathType, exponent: MathType): MathType {
  const size = math.isBigNumber(exponent) || typeof exponent === 'number' ? Math.abs(Number(exponent)) : 0;
  if (size > MAX_EXPONENT) throw new Uncomputable('power');
  return math.pow(base as BigNumber, exponent as BigNumber) as MathType;
}

/** The real root where there is one: the cube root of -8 is -2. */
function root(radicand: MathType, degree: MathType): MathType {
  const n = Number(math.format(degree));
  const isReal = typeof radicand === 'number' || math.isBigNumber(radicand);
  if (isReal && Number(radicand) < 0 && n % 2 === 1)
    return math.unaryMinus(root(math.unaryMinus(radicand), degree));
  return power(radicand, math.divide(math.isBigNumber(degree) ? math.bignumber(1) : 1, degree) as MathType);
}

/** Relative difference below which two computed values are one: [exact, in doubles]. */
const EXACT_TOLERANCE = '1e-40';
const DOUBLE_TOLERANCE = 1e-9;

/** Whether both formulas have the same value; undefined where that cannot be computed. */
export function haveSameValue(a: Expression, b: Expression): boolean | undefined {
  if (isClosed(a) && isClosed(b)) {
    const [x, y] = [computed(a, EXACT), computed(b, EXACT)];
    if (x === undefined || y === undefined) return undefined;
    return areClose(x, y);
  }
  if (isClosed(a) !== isClosed(b) && !(hasFreeTerms(a) && hasFreeTerms(b))) return false;
  return ratioOver(a, b, (x, y) => areClose(x, y));
}

/** Variables may cancel, as in x - x + 1; a lone variable on one side never equals a number on the other. */
const hasFreeTerms = (expression: Expression): boolean =>
  isClosed(expression) || (expression.type === 'call' && partsOf(expression).length > 1);

function computed(expression: Expression, arithmetic: Arithmetic): MathType | undefined {
  try {
    const value = evaluate(expression, arithmetic);
    return isFiniteValue(value) ? value : undefined;
  } catch {
    // mathjs has an error of its own for each thing that has no value, such as matrices of other sizes.
    return undefined;
  }
}

function isFiniteValue(value: MathType): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  if (math.isBigNumber(value)) return value.isFinite();
  if (math.isComplex(value)) return Number.isFinite(value.re) && Number.isFinite(value.im);
  return true;
}

function areClose(x: MathType, y: MathType): boolean {
  if (math.isMatrix(x) || math.isMatrix(y)) {
    if (!math.isMatrix(x) || !math.isMatrix(y) || String(x.size()) !== String(y.size())) return false;
    const [left, right] = [x, y].map((matrix) => (matrix.toArray() as MathType[]).flat() as MathType[]);
    return left.every((value, i) => areClose(value, right[i]));
  }
  if (math.isBigNumber(x) && math.isBigNumber(y)) {
    const scale = math.max(math.abs(x), math.abs(y)) as BigNumber;
    // cos(π/2) is 0 but for its last digit; 1/99! and 1/100! are as small and differ.
    const isZero = (x.isZero() || y.isZero()) && scale.lt(EXACT_TOLERANCE);
    return isZero || x.minus(y).abs().lte(scale.times(EXACT_TOLERANCE));
  }
  const [left, right] = [x, y].map((value) => math.complex(value as number));
  const scale = Math.max(magnitude(left), magnitude(right));
  const difference = Math.hypot(left.re - right.re, left.im - right.im);
  return difference <= DOUBLE_TOLERANCE * scale || scale < 1e-12;
}

const magnitude = ({ re, im }: { re: number; im: number }): number => Math.hypot(re, im);

const SAMPLES = 6;
/** Samples after these are negative: there sqrt(x^2) is not x. */
const POSITIVE_SAMPLES = 4;

/** A value for each variable of sample `index`, irregular and of moderate size. */
function samplePoint(index: number): Point {
  return (name) => {
    let hash = 2166136261 ^ index;
    for (const character of name) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 16777619);
    const uniform = ((Math.imul(hash ^ (hash >>> 15), 2246822519) >>> 0) % 100003) / 100003;
    return (index < POSITIVE_SAMPLES ? 1 : -1) * (0.35 + 2.3 * uniform);
  };
}

/** Whether `holds` of the two values at every sample at which both can be computed; undefined for too few of them. */
function ratioOver(
  a: Expression,
  b: Expression,
  holds: (x: MathType, y: MathType) => boolean,
): boolean | undefined {
  let compared = 0;
  for (let index = 0; index < SAMPLES; index++) {
    const arithmetic = at(samplePoint(index));
    const [x, y] = [computed(opaqueAsSums(a), arithmetic), computed(opaqueAsSums(b), arithmetic)];
    if (x === undefined || y === undefined) continue;
    // Roots of negative values have branches; a disagreement there says nothing.
    if (index >= POSITIVE_SAMPLES && (math.isComplex(x) || math.isComplex(y))) continue;
    if (!holds(x, y)) return false;
    compared++;
  }
  return compared >= 2 ? true : undefined;
}

/** Σ, ∫ and lim as some combination of their parts that no reordering of the parts changes by accident. */
function opaqueAsSums(expression: Expression): Expression {
  switch (expression.type) {
    case 'call': {
      const args = expression.args.map(opaqueAsSums);
      if (!['sum', 'prod', 'int', 'lim', 'iint', 'oint', 'lower', 'upper'].includes(expression.name))
        return { ...expression, args };
      return weighted(expression.name, args);
    }
    case 'relation':
      return weighted(expression.operators.join(''), expression.sides.map(opaqueAsSums));
    default:
      return expression;
  }
}

/** Σ_i s_i part_i with the value of a variable named after the operator and the place as s_i. */
function weighted(name: string, parts: readonly Expression[]): Expression {
  return parts
    .map(
      (part, i): Expression => ({
        type: 'call',
        name: 'multiply',
        args: [{ type: 'symbol', name: `${name} ${i}` }, part],
      }),
    )
    .reduce((sum, term) => ({ type: 'call', name: 'add', args: [sum, term] }));
}

/**
 * Whether a is a constant times b, for equations and inequalities: a = 0 and 2a = 0 say the same.
 * @param sign - the sign the constant must have; 0 for any
 */
export function areProportional(a: Expression, b: Expression, sign: 0 | 1): boolean {
  let first: MathType | undefined;
  const holds = ratioOver(a, b, (x, y) => {
    const ratio = math.divide(x, y) as MathType;
    if (!isFiniteValue(ratio) || math.isMatrix(ratio)) return false;
    first ??= ratio;
    const isNonZero = magnitude(math.complex(ratio as number)) > 1e-9;
    return isNonZero && (sign === 0 || Number(ratio) > 0) && areClose(ratio, first);
  });
  return holds === true;
}

/** The value of a formula without variables as a double, or undefined. */
export function realValue(expression: Expression): number | undefined {
  if (!isClosed(expression)) return undefined;
  const value = computed(expression, EXACT);
  if (value === undefined || math.isMatrix(value)) return undefined;
  if (math.isComplex(value)) return Math.abs(value.im) < 1e-12 ? value.re : undefined;
  return Number(value);
}
