/** A program as the editor, for tasks in which right and wrong steps can be told exactly. It gives the same edit always. */
import type { Edit, Editor, EditTask } from './editor.ts';

/** The corrected (or worsened) answer; null: it is good enough as it is. */
export type ExactEdit = (task: EditTask) => string | null | Promise<string | null>;

/** @param name of the program, for the settings file */
export function exactEditor(name: string, edit: ExactEdit): Editor {
  return {
    settings: { kind: 'exact', name },
    retries: false,
    async edit(task): Promise<Edit> {
      const text = await edit(task);
      return text === null ? { kind: 'good enough' } : { kind: 'edited', text };
    },
    requests: () => [],
  };
}
