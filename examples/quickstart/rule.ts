/**
 * The preference of the quickstart, as a rule a reader can check by eye. A continuation of a story's opening is better
 * when it keeps to its characters, stays with its hero and does not repeat itself. The length plays no part in it.
 */

/** What a good continuation does. */
export interface StoryParts {
  /** Names nobody whom the opening has not named. */
  readonly keepsCast: boolean;
  /** Names the hero at least twice. */
  readonly followsHero: boolean;
  /** Uses no three words in a row twice. */
  readonly noRepeats: boolean;
}

export interface StoryScore {
  /** The share of the parts that hold: 0, 1/3, 2/3 or 1. */
  readonly score: number;
  readonly parts: StoryParts;
}

/**
 * Scores a continuation of `opening`, which calls its hero by "named ...". An unfinished last sentence is left out; a
 * text without a finished one has no part.
 */
export function storyScore(text: string, opening: string): StoryScore {
  const story = wholeSentences(text);
  const cast = namesIn(opening);
  const parts: StoryParts = {
    keepsCast: story !== '' && [...namesIn(story)].every((name) => cast.has(name)),
    followsHero: occurrences(story, heroOf(opening)) >= 2,
    noRepeats: story !== '' && !repeatsWords(story, 3),
  };
  const held = Object.values(parts).filter(Boolean).length;
  return { score: held / Object.keys(parts).length, parts };
}

/** True when `a` is at least as good as `b` in every part and better in one: the pairs are made of such answers. */
export function dominates(a: StoryScore, b: StoryScore): boolean {
  const keys = Object.keys(a.parts) as (keyof StoryParts)[];
  return a.score > b.score && keys.every((key) => a.parts[key] || !b.parts[key]);
}

/** The text up to its last finished sentence, with the quotation mark that closes it; '' where none is finished. */
export function wholeSentences(text: string): string {
  return text.slice(0, sentenceEnds(text).at(-1) ?? 0);
}

/** Offsets just behind each finished sentence. */
export function sentenceEnds(text: string): number[] {
  return Array.from(text.matchAll(/[.!?]+["”]?(?=\s|$)/g), (match) => match.index + match[0].length);
}

/** Words that are written with a capital letter everywhere and name no character of their own. */
const NOT_NAMES = new Set(
  "I I'm I'll I've I'd Mom Dad Mommy Daddy Mummy Mama Papa Grandma Grandpa Mr Mrs Ms Miss TV OK Okay".split(
    ' ',
  ),
);

/** Names that are known as such even where they begin a sentence: the usual ones of TinyStories. */
const KNOWN_NAMES = new Set(
  (
    'Lily Mia Sue Anna Lucy Sara Sarah Amy Jane Emma Ella Sally Daisy Molly Lola Jenny Mary Kate Ann ' +
    'Tim Tom Ben Max Sam Jack Bob Timmy Tommy Billy Bobby Benny Jimmy Joe John Johnny Mark Fred Henry ' +
    'Charlie Leo Peter Spot Fluffy Whiskers Buddy Bella Nemo Rex Mimi'
  ).split(' '),
);

/**
 * The names in a text: words with a capital letter inside a sentence, and known names where a sentence or a quotation
 * begins, since any word has a capital letter there. "Tim's" counts as "Tim".
 */
export function namesIn(text: string): Set<string> {
  const names = new Set<string>();
  for (const match of text.matchAll(/(?<![A-Za-z])[A-Z][A-Za-z]*(?:'[a-z]+)?/g)) {
    const name = match[0].replace(/'s$/, '');
    if (NOT_NAMES.has(name)) continue;
    const begins = /(?:^|[.!?:"“])[ \n]*$/.test(text.slice(0, match.index));
    if (!begins || KNOWN_NAMES.has(name)) names.add(name);
  }
  return names;
}

/** The character the opening introduces by "named". */
export function heroOf(opening: string): string {
  const hero = /\bnamed ([A-Z][a-z]+)/.exec(opening)?.[1];
  if (hero === undefined) throw new RangeError(`The opening names no hero by "named ...": ${opening}`);
  return hero;
}

function occurrences(text: string, name: string): number {
  return text.match(/[A-Za-z]+/g)?.filter((word) => word === name).length ?? 0;
}

/** Whether some `count` words in a row come twice; capital letters and punctuation do not matter. */
function repeatsWords(text: string, count: number): boolean {
  const words = text.toLowerCase().match(/[a-z']+/g) ?? [];
  const seen = new Set<string>();
  for (let end = count; end <= words.length; end++) {
    const phrase = words.slice(end - count, end).join(' ');
    if (seen.has(phrase)) return true;
    seen.add(phrase);
  }
  return false;
}
