/** Numbers as people say and abbreviate them: twenty-one, three hundred and five, 5 million, $70K. */

const ONES =
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen'.split(
    ' ',
  );
const TENS = 'twenty thirty forty fifty sixty seventy eighty ninety'.split(' ');
const SCALES: Readonly<Record<string, number>> = {
  thousand: 1e3,
  million: 1e6,
  billion: 1e9,
  trillion: 1e12,
};
/** What multiplies the number before it. */
const MAGNITUDES: Readonly<Record<string, number>> = {
  ...SCALES,
  k: 1e3,
  m: 1e6,
  dozen: 12,
  hundred: 100,
};

const either = (words: readonly string[]): string => `(?:${words.join('|')})`;
// Longer words first: 'six' must not end 'sixteen'.
const BELOW_100 = `(?:${either(TENS)}(?:[\\s-]${either(ONES.slice(1, 10))}\\b)?|${either(ONES.toReversed())})\\b`;
const BELOW_1000 = `(?:(?:${BELOW_100}|an?)\\s+hundred\\b(?:\\s+(?:and\\s+)?${BELOW_100})?|${BELOW_100})`;
const SCALE = `\\s+${either(Object.keys(SCALES))}\\b`;
const CARDINAL = new RegExp(
  `\\b(?:(?:${BELOW_1000}|an?)${SCALE}(?:,?\\s+(?:and\\s+)?${BELOW_1000}(?:${SCALE})?)*|${BELOW_1000})`,
  'gi',
);

/** The text with its cardinal numbers in digits: 'two hundred and five apples' as '205 apples'. */
export const withDigits = (text: string): string =>
  text.replaceAll(CARDINAL, (words) => String(cardinal(words.toLowerCase())));

function cardinal(words: string): number {
  let total = 0;
  let group = 0;
  for (const word of words.split(/[\s,-]+/)) {
    if (ONES.includes(word)) group += ONES.indexOf(word);
    else if (TENS.includes(word)) group += 10 * (TENS.indexOf(word) + 2);
    else if (word === 'hundred') group = 100 * Math.max(group, 1);
    else if (Object.hasOwn(SCALES, word)) {
      total += Math.max(group, 1) * SCALES[word];
      group = 0;
    }
  }
  return total + group;
}

/**
 * What may stand behind the digits of a number and multiply it, for a regular expression with the flag u: words, K, and M
 * behind an amount of money (540m are metres).
 */
export const MAGNITUDE_SUFFIX = String.raw`(?:[\s-]?(?:dozen|hundred|thousand|million|billion|trillion)(?!\p{L})|\s?[kK](?![\p{L}\d])|(?<=[$€£]\s?[\d.,]+)\s?M(?![\p{L}\d]))`;

/** 1000 of '70K' and '70 thousand', 1 of '70'. */
export const magnitudeOf = (written: string): number =>
  MAGNITUDES[/\p{L}+$/u.exec(written)?.[0].toLowerCase() ?? ''] ?? 1;
