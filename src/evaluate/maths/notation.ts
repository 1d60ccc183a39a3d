/**
 * One way of writing for the many ways of writing the same: Unicode and plain-text maths as LaTeX, without what only
 * changes the looks (sizes, thin spaces, delimiters), with thousands separators taken out.
 */

const UNICODE: Readonly<Record<string, string>> = {
  '−': '-',
  '–': '-',
  '—': '-',
  '×': '\\times ',
  '·': '\\cdot ',
  '⋅': '\\cdot ',
  '÷': '/',
  '⁄': '/',
  π: '\\pi ',
  '∞': '\\infty ',
  '≤': '\\le ',
  '≥': '\\ge ',
  '≠': '\\ne ',
  '≈': '\\approx ',
  '±': '\\pm ',
  '∓': '\\mp ',
  '∪': '\\cup ',
  '∩': '\\cap ',
  '∈': '\\in ',
  '∅': '\\emptyset ',
  '√': '\\sqrt ',
  '°': '^\\circ ',
  '²': '^2',
  '³': '^3',
  '½': '\\frac{1}{2}',
  '¼': '\\frac{1}{4}',
  '¾': '\\frac{3}{4}',
  θ: '\\theta ',
  α: '\\alpha ',
  β: '\\beta ',
  λ: '\\lambda ',
  '′': "'",
  '’': "'",
  '٪': '%',
  '％': '%',
  '，': ',',
  '：': ':',
  '（': '(',
  '）': ')',
};
const UNICODE_CHARACTERS = new RegExp(`[${Object.keys(UNICODE).join('')}]`, 'g');

/** \mathbb{R}, as the source of a regular expression. */
const REALS = '\\\\(?:mathbb\\s*\\{\\s*R\\s*\\}|mathbb\\s*R|R(?![a-zA-Z]))';

/** Rewrites that do not depend on each other's order beyond the one given. */
const REWRITES: readonly (readonly [RegExp, string])[] = [
  // A JSON file escaped twice: \\frac is \frac, while a matrix keeps its row ends.
  [
    /(?<!\\)\\\\(?=(?:d?frac|sqrt|left|right|text|pi|le|ge|leq|geq|infty|cup|in|pm|boxed|circ)(?![a-z]))/g,
    '\\',
  ],
  [/\\(?:left|right|bigl?|bigr|Bigl?|Bigr|biggl?|biggr|middle)(?![a-zA-Z])\s*\.?/g, ''],
  [/\\(?:displaystyle|textstyle|limits|nolimits|hline|rm|bf|it)(?![a-zA-Z])/g, ' '],
  // The spaces that may stand inside a number: 11,\!111 and 11{,}111.
  [/(?<!\\)\\!\s*/g, ''],
  [/(\d)\s*\{\s*,\s*\}\s*(?=\d{3})/g, '$1'],
  [/\\q?quad/g, '\\quad '],
  [/(?<!\\)\\[,;:> ]|~|\\quad|&nbsp;/g, ' '],
  [/\\[dtc]frac(?![a-zA-Z])/g, '\\frac'],
  [/\\(?:textdollar|\$)|[$€£¥]/g, ' '],
  [/\\?["“”]/g, ''],
  // Markdown around the whole answer, else a power.
  [/^\s*\*\*([\s\S]*)\*\*\s*$/g, '$1'],
  [/\*\*/g, '^'],
  [/(?<![\w.\\])(\d+(?:\.\d+)?)[eE]([+-]?\d{1,3})(?![\w.])/g, '$1\\times 10^{$2}'],
  [/\{([^{}]*)\\choose(?![a-zA-Z])([^{}]*)\}/g, '\\binom{$1}{$2}'],
  // Degrees of temperature.
  [/\^\s*\{?\s*\\circ\s*\}?\s*(?:\\(?:text|mathrm)\s*\{\s*)?[CF](?![a-zA-Z])\s*\}?/g, ' '],
  [/\\\{\s*\\\}/g, '\\emptyset '],
  [
    /^\s*(?:\\(?:text|mbox|textbf)\s*\{)?\s*(?:(?:there (?:is|are) )?no (?:real )?solutions?|(?:the )?empty set)\s*\}?\s*$/gi,
    '\\emptyset ',
  ],
  [
    /^\s*(?:\\(?:text|mbox|textbf)\s*\{)?\s*all real numbers except(?: for)?\s*\}?\s*([^a-z]+)$/gi,
    '(-\\infty,\\infty)\\setminus\\{$1\\}',
  ],
  [/^\s*(?:\\(?:text|mbox|textbf)\s*\{)?\s*all real numbers\s*\}?\s*$/gi, '\\mathbb{R}'],
  [new RegExp(`${REALS}\\s*[\\^_]\\s*(?:\\+|\\{\\s*(?:\\+|>\\s*0)\\s*\\})`, 'g'), '(0,\\infty)'],
  [new RegExp(`${REALS}(?!\\s*[\\^_])`, 'g'), '(-\\infty,\\infty)'],
  // {x | x > 3} is what it says of x.
  [
    /^\s*\\\{\s*[a-z]\s*(?:\\in\s*(?:\(-\\infty,\\infty\)|[^|:\\]*))?\s*(?:\\mid|\\vert|\\colon|\||:)(.*)\\\}\s*$/g,
    '$1',
  ],
  // Numerals: \text{1F}_{16}, 2516 \text{ (base 8)}, 204 in base five.
  [/\\(?:text|mathrm|texttt|mathtt)\s*\{\s*([0-9A-F]+)\s*\}(?=\s*_)/g, '$1'],
  [/(\d)\s*(?:\\text\s*\{)?\s*\(?(?:in )?\s*base[\s-]*\}?\s*(\d{1,2}|[a-z]{3,9})\s*\)?\}?/gi, '$1_{$2}'],
  [/\b([ap])\.m\./gi, '$1m'],
  [/(\d)\s*(AM|PM)\b/g, '$1 \\text{$2}'],
  [/\\bar(?![a-zA-Z])/g, '\\overline'],
  [/<=/g, '\\le '],
  [/>=/g, '\\ge '],
  [/!=/g, '\\ne '],
  [/(\d|\)|\})\s*(or|and)\s*(?=[A-Za-z(\\\d-])/g, '$1\\text{ $2 }'],
  // 1 000 000, but not '1 000.5 2'.
  [/(?<![\d.,])(\d{1,3})((?: \d{3})+)(?![\d,])/g, '$1$2'],
];

const REPEATING = /(?<!\d)(\d*)\.(\d*)\\overline\s*\{\s*(\d{1,20})\s*\}/g;

/** 0.333..., 0.1666\ldots: the same one to three digits three times or more. */
const GOES_ON = /(?<![\d.])(\d*)\.(\d*?)(\d{1,3}?)\3{2,}\s*(?:\.{2,3}|…|\\l?dots(?![a-z])|\\cdots(?![a-z]))/g;

/** 0.1\\overline{6} as the fraction (16 - 1) / 90. */
function repeatingDecimal(_: string, whole: string, fixed: string, repeated: string): string {
  const [all, before] = [whole + fixed + repeated, whole + fixed].map((digits) => BigInt(digits || '0'));
  const denominator = (10n ** BigInt(repeated.length) - 1n) * 10n ** BigInt(fixed.length);
  return `\\frac{${all - before}}{${denominator}}`;
}

/** The text in the notation that the parser reads. */
export function cleanNotation(text: string): string {
  let clean = text.replaceAll(UNICODE_CHARACTERS, (character) => UNICODE[character] ?? character);
  clean = clean.replaceAll(REPEATING, repeatingDecimal).replaceAll(GOES_ON, repeatingDecimal);
  for (const [pattern, to] of REWRITES) clean = clean.replaceAll(pattern, to);
  clean = clean.replaceAll(/(?<![\d.,])\d{1,3}(?: \d{3})+(?![\d])/g, (digits) => digits.replaceAll(' ', ''));
  return joinThousands(clean)
    .trim()
    .replace(/[.,;\s]+$/, '');
}

/**
 * 7,425,000 is one number, but [-36,104] holds two: inside brackets a comma without a space separates thousands only
 * where other commas there have a space behind them, as in (1,000, 2,500).
 */
function joinThousands(text: string): string {
  const grouped = /(?<![\d.,])(?!0,)(\d{1,3})((?:,\d{3})+)(?![\d,])/g;
  return text.replaceAll(grouped, (whole: string, ...rest: unknown[]) => {
    const at = rest.find((value): value is number => typeof value === 'number') ?? 0;
    const inside = innermostBracket(text, at);
    const joins = inside === undefined || /,\s/.test(inside);
    return joins ? whole.replaceAll(',', '') : whole;
  });
}

/** What stands in the innermost brackets around `at`, if there are any. */
function innermostBracket(text: string, at: number): string | undefined {
  let depth = 0;
  let begin = at - 1;
  for (; begin >= 0; begin--) {
    if (')]}'.includes(text[begin])) depth++;
    else if ('([{'.includes(text[begin]) && depth-- === 0) break;
  }
  if (begin < 0) return undefined;
  depth = 0;
  for (let end = at; end < text.length; end++) {
    if ('([{'.includes(text[end])) depth++;
    else if (')]}'.includes(text[end]) && depth-- === 0) return text.slice(begin + 1, end);
  }
  return text.slice(begin + 1);
}
