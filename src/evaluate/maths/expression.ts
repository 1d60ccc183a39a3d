/** What a written answer says, as a tree. The parser makes it, the comparison walks it; numbers stay as written. */

/** How the two ends of an interval or tuple are written; '' is a list without brackets, '{' a set. */
export type Bracket = '' | '(' | '[' | '{' | ')' | ']' | '}';

export type Relation = '=' | '≈' | '≠' | '<' | '≤' | '>' | '≥' | '∈';

export type Expression =
  /** Digits with an optional fraction, without separators: '1234.50'. */
  | { readonly type: 'number'; readonly text: string }
  /** A variable, a constant such as π, or anything that is written but not known. */
  | { readonly type: 'symbol'; readonly name: string }
  /** Digits in a numeral system other than ten: 204_5. */
  | { readonly type: 'numeral'; readonly digits: string; readonly base: number }
  | { readonly type: 'call'; readonly name: string; readonly args: readonly Expression[] }
  /** (1, 2), [0, 1), {3, 4}, or 1, 2 at the top. */
  | {
      readonly type: 'sequence';
      readonly open: Bracket;
      readonly close: Bracket;
      readonly items: readonly Expression[];
    }
  /** a = b, 0 < x ≤ 1; there is one operator less than there are sides. */
  | {
      readonly type: 'relation';
      readonly sides: readonly Expression[];
      readonly operators: readonly Relation[];
    }
  | { readonly type: 'matrix'; readonly rows: readonly (readonly Expression[])[] }
  | { readonly type: 'text'; readonly text: string };

export type Sequence = Extract<Expression, { type: 'sequence' }>;
export type RelationChain = Extract<Expression, { type: 'relation' }>;

export const call = (name: string, ...args: Expression[]): Expression => ({ type: 'call', name, args });
export const number = (text: string): Expression => ({ type: 'number', text });
export const symbol = (name: string): Expression => ({ type: 'symbol', name });
export const sequence = (open: Bracket, items: readonly Expression[], close: Bracket): Sequence => ({
  type: 'sequence',
  open,
  close,
  items,
});

/** The direct parts of an expression. */
export function partsOf(expression: Expression): readonly Expression[] {
  switch (expression.type) {
    case 'call':
      return expression.args;
    case 'sequence':
      return expression.items;
    case 'relation':
      return expression.sides;
    case 'matrix':
      return expression.rows.flat();
    default:
      return [];
  }
}

/** Whether `test` holds of the expression or of any part of it. */
export function some(expression: Expression, test: (part: Expression) => boolean): boolean {
  return test(expression) || partsOf(expression).some((part) => some(part, test));
}

/** The expression with `change` applied to its direct parts. */
export function mapParts(expression: Expression, change: (part: Expression) => Expression): Expression {
  switch (expression.type) {
    case 'call':
      return { ...expression, args: expression.args.map(change) };
    case 'sequence':
      return { ...expression, items: expression.items.map(change) };
    case 'relation':
      return { ...expression, sides: expression.sides.map(change) };
    case 'matrix':
      return { ...expression, rows: expression.rows.map((row) => row.map(change)) };
    default:
      return expression;
  }
}

/** Constants that are written like variables. */
const CONSTANTS = new Set(['π', 'e', 'i', '∞']);

/** Whether the expression has no variables. */
export const isClosed = (expression: Expression): boolean =>
  !some(expression, (part) => part.type === 'symbol' && !CONSTANTS.has(part.name));

/** One text for equal trees, for comparing what cannot be computed. */
export function textOf(expression: Expression): string {
  switch (expression.type) {
    case 'number':
      return expression.text;
    case 'symbol':
      return expression.name;
    case 'numeral':
      return `${expression.digits}_${expression.base}`;
    case 'text':
      return plainText(expression.text);
    case 'call':
      return expression.name === 'multiply'
        ? expression.args.map(textOf).join('·')
        : `${expression.name}(${expression.args.map(textOf).join(',')})`;
    case 'sequence':
      return `${expression.open}${expression.items.map(textOf).join(',')}${expression.close}`;
    case 'relation':
      return expression.sides.map((side, i) => textOf(side) + (expression.operators[i] ?? '')).join('');
    case 'matrix':
      return `[${expression.rows.map((row) => row.map(textOf).join(',')).join(';')}]`;
  }
}

/** Words as they are compared: lower case, single spaces, no punctuation around them. */
export const plainText = (text: string): string =>
  text
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, ' ')
    .trim();
