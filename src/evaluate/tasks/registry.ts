/** The tasks with a name. */
import { Registry } from '../../registry.ts';
import { MATHS_TASKS } from './maths.ts';
import { QUESTION_TASKS } from './question-answering.ts';
import type { Task } from './task.ts';

export const tasks = new Registry<Task>('a task', [...QUESTION_TASKS, ...MATHS_TASKS]);
