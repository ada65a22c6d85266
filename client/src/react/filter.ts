import type { Task } from "../index.js";

/** Which tasks are shown. What is left out does not matter. */
export type TaskFilter =
  | ((task: Task) => boolean)
  | {
      completed?: boolean;
      project_id?: string | null;
      parent_id?: string | null;
      priority?: number;
      /** Of this label. */
      label?: string;
      /** Every word of it is in text or description, in any case. */
      search?: string;
    };

export function chosen(tasks: readonly Task[], filter: TaskFilter | undefined): readonly Task[] {
  if (!filter) return tasks;
  if (typeof filter === "function") return tasks.filter(filter);
  const { label, search, ...values } = filter;
  const fields = Object.entries(values).filter(([, value]) => value !== undefined) as [keyof Task, unknown][];
  const words = (search ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  return tasks.filter((task) => {
    const text = words.length > 0 ? `${task.text}\n${task.description}`.toLowerCase() : "";
    return fields.every(([field, value]) => task[field] === value) && (!label || task.label_ids.includes(label)) && words.every((word) => text.includes(word));
  });
}
