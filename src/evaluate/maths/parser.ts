/**
 * A recursive-descent parser for answers in LaTeX or plain maths, with one token of look-ahead and no backtracking:
 * its time grows with the length of the text, whatever a model wrote. (Compute Engine's parser reads more LaTeX but
 * backtracks: eight opening brackets take it seconds.)
 *
 *   list     := relation ((',' | ';' | and | or) relation)*
 *   relation := union (('=' | '<' | '∈' | ...) union)*
 *   union    := sum (('∪' | '∩' | '∖' | ':') sum)*
 *   sum      := product (('+' | '-' | '±') product)*
 *   product  := factor (('·' | '/' | nothing) factor)*
 *   factor   := '-'* atom ('^' atom | '!' | '°' | '%' | unit)*
 */
import { call, type Expression, number, type Relation, sequence, symbol } from './expression.ts';
import {
  FUNCTIONS,
  OPAQUE_OPERATORS,
  PRODUCTS,
  RELATIONS,
  SCALES,
  SIGNS,
  SYMBOLS,
  UNIONS,
} from './latex-names.ts';
import { baseOf } from './numerals.ts';
import { TokenReader } from './token-reader.ts';
import { tokenize } from './tokens.ts';

const MAX_LENGTH = 4000;

/**
 * @param clean - a text in the notation of `cleanNotation`
 * @throws SyntaxError for what is no maths: prose, unbalanced brackets, two numbers in a row
 */
export function parseExpression(clean: string): Expression {
  if (clean.length > MAX_LENGTH) throw new SyntaxError('The answer is too long to be a formula.');
  return new Parser(tokenize(clean)).all();
}

class Parser extends TokenReader {
  /** How many '|' are open, so that the next one closes. */
  #bars = 0;

  all(): Expression {
    const list = this.#list();
    if (this.next.kind !== 'end') throw new SyntaxError(`Unexpected '${this.next.text}'.`);
    return list;
  }

  /** Items with separators; a; b of several lists are lists of their own, as in p=5, q=2; p=7, q=2. */
  #list(): Expression {
    const groups: Expression[][] = [[]];
    const words: string[] = [];
    for (;;) {
      words.push(...this.#skipText());
      if (!this.#atEndOfList()) groups[groups.length - 1].push(this.#relation());
      const separator = this.#separator();
      if (separator === undefined) break;
      if (separator === ';') groups.push([]);
    }
    const filled = groups.filter((items) => items.length > 0);
    if (filled.length === 0)
      return words.length > 0 ? { type: 'text', text: words.join(' ') } : sequence('', [], '');
    const isNested = filled.length > 1 && filled.some((items) => items.length > 1);
    const items = isNested ? filled.map((inner) => sequence('(', inner, ')')) : filled.flat();
    return items.length === 1 ? items[0] : sequence('', items, '');
  }

  #atEndOfList(): boolean {
    const { kind, text } = this.next;
    if (kind === 'end') return true;
    if (this.#isSeparatorWord()) return true;
    if (kind === 'command') return text.startsWith('end ');
    return kind === 'mark' && [',', ';', ')', ']', '}', '\\}', '&', '\\\\'].includes(text);
  }

  #isSeparatorWord(): boolean {
    return this.next.kind === 'text' && /^[\s,]*(?:and|or|,)[\s,]*$/.test(this.next.text);
  }

  #separator(): ',' | ';' | undefined {
    let found: ',' | ';' | undefined;
    for (;;) {
      if (this.take(';')) found = ';';
      else if (this.take(',')) found ??= ',';
      else if (this.#isSeparatorWord()) {
        this.advance();
        found ??= ',';
      } else return found;
    }
  }

  /** Steps over words that say nothing about the value, units above all. @returns the words */
  #skipText(): string[] {
    const words: string[] = [];
    while (this.next.kind === 'text' && !this.#isSeparatorWord()) {
      words.push(this.advance().text);
      if (this.take('^')) this.#atom();
      if (this.is('/') && this.ahead(1).kind === 'text') this.advance();
    }
    return words;
  }

  #relation(): Expression {
    const sides = [this.#union()];
    const operators: Relation[] = [];
    for (let operator = this.operator(RELATIONS); operator; operator = this.operator(RELATIONS)) {
      this.advance();
      operators.push(operator);
      sides.push(this.#union());
    }
    return operators.length === 0 ? sides[0] : { type: 'relation', sides, operators };
  }

  #union(): Expression {
    let left = this.#sum();
    for (let name = this.operator(UNIONS); name; name = this.operator(UNIONS)) {
      this.advance();
      const right = this.#sum();
      const before: readonly Expression[] = left.type === 'call' && left.name === name ? left.args : [left];
      left = call(name, ...before, right);
    }
    return left;
  }

  #sum(): Expression {
    this.enter();
    this.#skipText();
    const sign = this.operator(SIGNS);
    if (sign) this.advance();
    let left = this.#product();
    if (sign && sign !== 'add') left = call(sign === 'subtract' ? 'negate' : sign, left);
    for (let name = this.operator(SIGNS); name; name = this.operator(SIGNS)) {
      this.advance();
      left = call(name, left, this.#product());
    }
    this.leave();
    return left;
  }

  #product(): Expression {
    let left = this.#factor();
    for (;;) {
      const name = this.operator(PRODUCTS);
      if (name) {
        this.advance();
        left = call(name, left, this.#factor());
      } else if (this.#startsAtom()) {
        const wasDigits = this.next.kind === 'number';
        if (wasDigits && left.type === 'number') left = this.#mixedNumber(left);
        else left = mixedOrProduct(left, this.#factor());
      } else return left;
    }
  }

  /** 7 3/4 */
  #mixedNumber(whole: Expression): Expression {
    const top = this.#atom();
    this.expect('/');
    const bottom = this.#atom();
    if (top.type !== 'number' || bottom.type !== 'number') throw new SyntaxError('Two numbers in a row.');
    return call('add', whole, call('divide', top, bottom));
  }

  #startsAtom(): boolean {
    const { kind, text } = this.next;
    if (kind === 'number' || kind === 'letter') return true;
    if (kind === 'mark') return ['(', '[', '{', '\\{'].includes(text) || (text === '|' && this.#bars === 0);
    if (kind !== 'command') return false;
    return (
      text.startsWith('begin ') ||
      ['frac', 'binom', 'sqrt', 'boxed', 'fbox', 'overline', 'vec', 'hat', 'bar', 'lfloor', 'lceil'].includes(
        text,
      ) ||
      ['langle', 'lbrace', 'lbrack', 'lvert', 'circ'].includes(text) ||
      Object.hasOwn(FUNCTIONS, text) ||
      Object.hasOwn(SYMBOLS, text) ||
      OPAQUE_OPERATORS.has(text)
    );
  }

  #factor(): Expression {
    const sign = this.operator(SIGNS);
    if (sign) {
      this.enter();
      this.advance();
      const inner = this.#factor();
      this.leave();
      return sign === 'add' ? inner : call(sign === 'subtract' ? 'negate' : sign, inner);
    }
    return this.#postfix(this.#atom());
  }

  #postfix(base: Expression): Expression {
    let value = base;
    for (;;) {
      if (this.take('^')) {
        if (this.take('circ')) value = call('degrees', value);
        else {
          const isBraced = this.is('{');
          const exponent = this.next.text === '-' ? this.#factor() : this.#atom();
          const isDegree = isBraced && exponent.type === 'symbol' && exponent.name === '∘';
          value = isDegree ? call('degrees', value) : call('power', value, exponent);
        }
      } else if (this.take('_')) value = subscripted(value, this.#subscript());
      else if (this.take('!')) value = call('factorial', value);
      else if (this.take('%')) value = call('percent', value);
      else if (this.take("'")) value = primed(value);
      else if (this.take('prime')) value = primed(value);
      else if (this.take('circ') || this.take('degree')) value = call('degrees', value);
      else if (this.next.kind === 'text' && !this.#isSeparatorWord()) {
        const word = this.next.text.trim().toLowerCase();
        if (/^(?:percent|pct|percentage)s?\b/.test(word)) {
          this.advance();
          value = call('percent', value);
        } else if (Object.hasOwn(SCALES, word)) {
          this.advance();
          value = call('multiply', value, number(SCALES[word]));
        } else this.#skipText();
      } else return value;
    }
  }

  /** The characters of a subscript: it names a symbol and is not computed. */
  #subscript(): string {
    if (!this.is('{')) return this.advance().text;
    let depth = 0;
    let name = '';
    do {
      if (this.is('{')) depth++;
      else if (this.is('}')) depth--;
      else if (this.next.kind === 'end') throw new SyntaxError('A subscript is not closed.');
      else name += this.next.text;
      this.advance();
    } while (depth > 0);
    return name;
  }

  #atom(): Expression {
    this.enter();
    const atom = this.#readAtom();
    this.leave();
    return atom;
  }

  #readAtom(): Expression {
    const { kind, text } = this.advance();
    if (kind === 'end') throw new SyntaxError('The formula ends too early.');
    if (kind === 'number') return number(text);
    if (kind === 'letter') return symbol(text);
    if (kind === 'text') {
      if (this.#startsAtom()) return this.#readAtom();
      return { type: 'text', text };
    }
    if (kind === 'mark') return this.#bracketed(text);
    return this.#command(text);
  }

  #bracketed(mark: string): Expression {
    if (mark === '|') return this.#absolute('|');
    if (mark === '{') return this.#group();
    const open = ({ '(': '(', '[': '[', '\\{': '{' } as const)[mark];
    if (open === undefined) throw new SyntaxError(`Unexpected '${mark}'.`);
    return this.#inBrackets(open);
  }

  /** TeX's braces group; with commas in them someone meant a set or a tuple and forgot the backslash. */
  #group(): Expression {
    const bars = this.#bars;
    this.#bars = 0;
    const inner = this.#list();
    this.#bars = bars;
    this.expect('}');
    return inner;
  }

  #inBrackets(open: '(' | '[' | '{'): Expression {
    const bars = this.#bars;
    this.#bars = 0;
    const inner = this.#list();
    this.#bars = bars;
    const items = inner.type === 'sequence' && inner.open === '' ? inner.items : [inner];
    const close = this.#closing();
    if (open === '{' || close === '}') {
      if (open !== '{' || close !== '}') throw new SyntaxError('The brackets of a set do not match.');
      return sequence('{', items, '}');
    }
    const isGroup = open === '(' && close === ')';
    const isArray = open === '[' && close === ']' && items[0]?.type === 'matrix';
    return items.length === 1 && (isGroup || isArray) ? items[0] : sequence(open, items, close);
  }

  #closing(): ')' | ']' | '}' {
    if (this.take(')') || this.take('rangle')) return ')';
    if (this.take(']') || this.take('rbrack')) return ']';
    if (this.take('\\}') || this.take('rbrace')) return '}';
    throw new SyntaxError(`Expected a closing bracket, found '${this.next.text}'.`);
  }

  #absolute(close: string): Expression {
    this.#bars++;
    const inner = this.#sum();
    this.#bars--;
    this.expect(close);
    return call('abs', inner);
  }

  #command(name: string): Expression {
    if (name.startsWith('begin ')) return this.#matrix(name.slice('begin '.length));
    switch (name) {
      case 'frac':
        return call('divide', this.#argument(), this.#argument());
      case 'binom':
        return call('binomial', this.#argument(), this.#argument());
      case 'sqrt':
        return this.#root();
      case 'boxed':
      case 'fbox':
        return this.#argument();
      case 'overline':
      case 'vec':
      case 'hat':
      case 'bar':
        return call(name, this.#argument());
      case 'lvert':
        return this.#absolute('rvert');
      case 'lfloor':
      case 'lceil': {
        const inner = this.#sum();
        this.expect(name === 'lfloor' ? 'rfloor' : 'rceil');
        return call(name === 'lfloor' ? 'floor' : 'ceil', inner);
      }
      case 'langle':
        return this.#inBrackets('(');
      case 'lbrack':
        return this.#inBrackets('[');
      case 'lbrace':
        return this.#inBrackets('{');
    }
    if (OPAQUE_OPERATORS.has(name)) return this.#opaque(name);
    if (Object.hasOwn(FUNCTIONS, name)) return this.#function(FUNCTIONS[name]);
    return symbol(SYMBOLS[name] ?? `\\${name}`);
  }

  /** One argument of a command: a group, or a single token, of a number a single digit: \frac13. */
  #argument(): Expression {
    this.splitDigit();
    return this.#atom();
  }

  #root(): Expression {
    if (!this.take('[')) return call('sqrt', this.#atom());
    const degree = this.#sum();
    this.expect(']');
    return call('root', this.#atom(), degree);
  }

  /** \sin^2 x, \log_2 8, \arcsin(x): with brackets their content is the argument, else the product that follows. */
  #function(name: string): Expression {
    let base: Expression | undefined;
    let exponent: Expression | undefined;
    for (;;) {
      if (this.take('_')) base = this.#atom();
      else if (this.take('^')) exponent = this.next.text === '-' ? this.#factor() : this.#atom();
      else break;
    }
    const isInverse =
      exponent?.type === 'call' && exponent.name === 'negate' && exponent.args[0].type === 'number';
    const full = isInverse && ['sin', 'cos', 'tan'].includes(name) ? `arc${name}` : name;
    const argument = this.#functionArgument();
    const value = base === undefined ? call(full, argument) : call(full, argument, base);
    return exponent === undefined || full !== name ? value : call('power', value, exponent);
  }

  #functionArgument(): Expression {
    if (this.is('(') || this.is('{') || this.is('[')) return this.#atom();
    let argument = this.#factor();
    while (this.#startsAtom() && !Object.hasOwn(FUNCTIONS, this.next.text) && !this.is('('))
      argument = mixedOrProduct(argument, this.#factor());
    if (this.is('/') && this.ahead(1).kind === 'number') {
      this.advance();
      argument = call('divide', argument, this.#atom());
    }
    return argument;
  }

  /** \sum_{k=1}^n f: its parts are kept; the comparison takes it for an unknown function of them. */
  #opaque(name: string): Expression {
    const parts: Expression[] = [];
    while (this.is('_') || this.is('^')) {
      const mark = this.next.text;
      this.advance();
      const part = this.#atom();
      parts.push(call(mark === '_' ? 'lower' : 'upper', part));
    }
    return call(name, this.#product(), ...parts);
  }

  #matrix(environment: string): Expression {
    const rows: Expression[][] = [[this.#list()]];
    while (!this.take(`end ${environment}`)) {
      if (this.take('&')) rows[rows.length - 1].push(this.#list());
      else if (this.take('\\\\')) {
        if (!this.is(`end ${environment}`)) rows.push([this.#list()]);
      } else throw new SyntaxError(`\\begin{${environment}} is not closed.`);
    }
    if (environment === 'cases' || environment === 'aligned') return sequence('', rows.flat(), '');
    const matrix: Expression = { type: 'matrix', rows };
    return environment === 'vmatrix' ? call('det', matrix) : matrix;
  }
}

const isInteger = (value: Expression): boolean => value.type === 'number' && /^\d+$/.test(value.text);

/** 5\frac{1}{2} is five and a half; every other neighbour is a factor. */
function mixedOrProduct(left: Expression, right: Expression): Expression {
  const isFraction = right.type === 'call' && right.name === 'divide' && right.args.every(isInteger);
  return isFraction && isInteger(left) ? call('add', left, right) : call('multiply', left, right);
}

/** x_1 is a variable, 204_5 a numeral in base 5. */
function subscripted(value: Expression, subscript: string): Expression {
  const base = value.type === 'number' ? baseOf(subscript) : undefined;
  if (value.type === 'number' && base !== undefined) return { type: 'numeral', digits: value.text, base };
  if (value.type === 'symbol') return symbol(`${value.name}_${subscript}`);
  return call(`subscript ${subscript}`, value);
}

const primed = (value: Expression): Expression =>
  value.type === 'symbol' ? symbol(`${value.name}'`) : call('prime', value);
