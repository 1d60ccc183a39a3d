/** The key `eval_tasks`: questions with right answers that the policy is asked while it is trained. */
import { z } from 'zod';

const count = () => z.number().int().min(1);
const path = () => z.string().min(1);

export const evalTask = z.strictObject({
  task: path().describe('a task of "prefgrad evaluate", or custom'),
  task_file: path().optional().describe('YAML file of a custom task'),
  name: z
    .string()
    .regex(/^[\w-]+$/, 'must have letters, digits, "_" and "-" only')
    .optional()
    .describe('NAME of its metrics, eval_NAME_accuracy; without it that of the task'),
  data: path().describe('its questions'),
  max_rows: count().optional().describe('ask the first ones only'),
  max_new_tokens: count().optional().describe("most tokens of an answer; without it the task's own number"),
});

export type EvalTask = z.output<typeof evalTask>;

/** NAME in `eval_NAME_accuracy`. */
export const taskName = ({ name, task }: Pick<EvalTask, 'name' | 'task'>): string => name ?? task;
