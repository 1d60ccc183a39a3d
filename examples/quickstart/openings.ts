/**
 * The openings of the quickstart's stories: a hero with a trait, and what happened one day. What happens in a held-out
 * opening happens in no training opening, so the split is by story, not only by wording.
 */

export interface Opening {
  /** What happened, numbered through both lists: the story an opening begins. */
  readonly story: number;
  readonly text: string;
}

const GIRLS = ['Lily', 'Mia', 'Sue', 'Anna', 'Lucy', 'Sara', 'Amy', 'Jane'];
const BOYS = ['Tim', 'Tom', 'Ben', 'Max', 'Sam', 'Jack', 'Bob', 'Timmy'];
const TRAITS = ['little', 'happy', 'kind', 'brave', 'shy'];

const TRAINING_EVENTS = [
  'found a big red ball in the park',
  'saw a small dog near the lake',
  'went to the beach with a new toy',
  'found a shiny box under a tree',
  'wanted to bake a cake for a friend',
  'saw a bird with a hurt wing',
  'went for a walk in the forest',
  'lost a favorite hat in the wind',
  'got a new bike',
  'found a little cat in the garden',
  'went to the zoo to see the animals',
  'made a tall tower of blocks',
  'saw a rainbow in the sky',
  'wanted to fly a kite',
  'heard a loud noise in the house',
  'found a pretty shell in the sand',
  'went to the farm to feed the pigs',
  'planted a seed in the garden',
  'saw a frog jump into the pond',
  'made a boat out of wood',
  'wanted to climb a big tree',
  'got a letter from a friend',
  'went to the store to buy apples',
  'built a big castle in the sand',
  'saw a butterfly on a flower',
  'found a key in the grass',
  'wanted to help a sick rabbit',
  'went on a train with mom',
  'saw a big truck on the road',
  'lost a toy in the snow',
  'wanted to play a new game',
  'found a hole in the fence',
];

const HELD_OUT_EVENTS = [
  'met a fox in the woods',
  'found a golden coin on the road',
  'wanted to swim in the river',
  'made a snowman with a funny hat',
  'saw a duck in the rain',
  'went to the library to find a book',
  'broke a cup in the kitchen',
  'wanted to paint the wall blue',
  'heard a song in the street',
  'found an old map in a drawer',
  'went fishing with dad',
  'saw a mouse under the bed',
  'wanted to learn a new dance',
  'picked berries on the hill',
  'found a lost puppy at school',
  'looked at the stars at night',
];

/** 512 openings: 32 stories with 16 heroes each. */
export const trainingOpenings: readonly Opening[] = openingsOf(TRAINING_EVENTS, 0);

/** 256 openings: 16 other stories with the same heroes. */
export const heldOutOpenings: readonly Opening[] = openingsOf(HELD_OUT_EVENTS, TRAINING_EVENTS.length);

function openingsOf(events: readonly string[], firstStory: number): Opening[] {
  return events.flatMap((event, e) =>
    [...GIRLS, ...BOYS].map((name, n) => {
      const [kind, pronoun] = n < GIRLS.length ? ['girl', 'she'] : ['boy', 'he'];
      const trait = TRAITS[(e + n) % TRAITS.length];
      const text = `Once upon a time, there was a ${trait} ${kind} named ${name}. One day, ${pronoun} ${event}.`;
      return { story: firstStory + e, text };
    }),
  );
}
