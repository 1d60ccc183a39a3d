/** Writes docs/score.schema.json, the JSON Schema of a line of `prefgrad score`: npx tsx scripts/score-schema.ts */
import { writeFileSync } from 'node:fs';
import { z } from 'zod';
import { scoreLine } from '../src/score/record.ts';

writeFileSync('docs/score.schema.json', `${JSON.stringify(z.toJSONSchema(scoreLine), null, 2)}\n`);
