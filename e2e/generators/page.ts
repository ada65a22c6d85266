// A page that uses what orval, and @hey-api/openapi-ts, make of the schema.

import { useChangeTask, useCreateTask, useListTasks } from "./made/orval";
import type { LiveEvent, NewTask, Task, TaskNotification, TaskPatch } from "./made/client";

export function usePage(): { add: (text: string) => void; texts: string[] } {
  const tasks = useListTasks({ completed: false, limit: 50 });
  const create = useCreateTask();
  const change = useChangeTask();
  const done = (task: Task) => change.mutate({ id: task.id, data: { completed: true } });
  tasks.data?.data.forEach(done);
  return {
    add: (text) => create.mutate({ data: { text } }),
    texts: (tasks.data?.data ?? []).map((task) => task.text),
  };
}

export const created: NewTask = { text: "Water the plants" };
export const changed: TaskPatch = { deadline: null };

export function about(event: LiveEvent): Task | TaskNotification | string {
  if (event.type === "preferences.updated") return event.data.time_zone;
  return "title" in event.data || "text" in event.data ? event.data : event.data.id;
}
