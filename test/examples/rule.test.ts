import { describe, expect, it } from 'vitest';
import { heldOutOpenings, trainingOpenings } from '../../examples/quickstart/openings.ts';
import {
  dominates,
  heroOf,
  namesIn,
  sentenceEnds,
  storyScore,
  wholeSentences,
} from '../../examples/quickstart/rule.ts';

const opening = 'Once upon a time, there was a kind girl named Sara. One day, she found a big red ball.';
const good = ' Sara was glad. "Can I play?" asked her mom. Then Sara gave it to her.';

describe('storyScore', () => {
  it('gives a good continuation every part', () => {
    expect(storyScore(good, opening)).toEqual({
      score: 1,
      parts: { keepsCast: true, followsHero: true, noRepeats: true },
    });
  });

  it.each([
    ['a new name inside a sentence', ' Sara met Zorp. Sara ran.', 'keepsCast'],
    ['a new known name at the start of one', ' Sara ran. Tim sat. Sara slept.', 'keepsCast'],
    ["another form of the hero's name", ' Sara saw that Sarah ran. Sara slept.', 'keepsCast'],
    ['a hero named once', ' Sara was glad. She ran home.', 'followsHero'],
    ['three words twice', ' Sara was very glad. Sara was very, very tired.', 'noRepeats'],
  ] as const)('takes a third for %s', (_what, text, part) => {
    const { score, parts } = storyScore(text, opening);
    expect(score).toBeCloseTo(2 / 3, 12);
    expect(parts[part]).toBe(false);
  });

  it('leaves an unfinished last sentence out', () => {
    expect(storyScore(`${good} Then Tim`, opening)).toEqual(storyScore(good, opening));
    expect(storyScore(' Sara and Sara', opening).parts.followsHero).toBe(false);
  });

  it.each(['', ' Then'])('gives %j nothing: saying nothing is no better story', (text) => {
    expect(storyScore(text, opening).score).toBe(0);
  });
});

it('dominates asks for no loss in any part', () => {
  const of = (text: string) => storyScore(text, opening);
  expect(dominates(of(good), of(' Sara met Zorp.'))).toBe(true);
  expect(dominates(of(' Sara met Zorp. Sara ran.'), of(' She ran. She ran. She ran.'))).toBe(false);
  expect(dominates(of(good), of(good))).toBe(false);
});

it('namesIn tells names from words that merely begin a sentence', () => {
  const text =
    'The cat saw Tim\'s hat. "Hello," said Mom. "Wow, I like Whiskers!" Lily said.\nSuddenly, it ran.';
  expect([...namesIn(text)].sort()).toEqual(['Lily', 'Tim', 'Whiskers']);
});

it('heroOf reads the opening and refuses one without a hero', () => {
  expect(heroOf(opening)).toBe('Sara');
  expect(() => heroOf('Once there was a cat.')).toThrow(RangeError);
});

it('a sentence ends with its closing quotation mark', () => {
  expect(wholeSentences(' "Go!" she said. And th')).toBe(' "Go!" she said.');
  expect(sentenceEnds('No! "Yes." Oh')).toEqual([3, 10]);
  expect(wholeSentences('never')).toBe('');
});

describe('openings', () => {
  const all = [...trainingOpenings, ...heldOutOpenings];

  it('are several hundred, all distinct, each with one hero and nobody else', () => {
    expect([trainingOpenings.length, heldOutOpenings.length]).toEqual([512, 256]);
    expect(new Set(all.map(({ text }) => text)).size).toBe(all.length);
    for (const { text } of all) expect([...namesIn(text)]).toEqual([heroOf(text)]);
  });

  it('share no story between training and held-out', () => {
    const training = new Set(trainingOpenings.map(({ story }) => story));
    expect(heldOutOpenings.some(({ story }) => training.has(story))).toBe(false);
    expect(new Set(all.map(({ story }) => story)).size).toBe(48);
    const event = (text: string) => text.replace(/^.*One day, s?he /, '');
    const events = new Set(trainingOpenings.map(({ text }) => event(text)));
    expect(heldOutOpenings.some(({ text }) => events.has(event(text)))).toBe(false);
  });
});
