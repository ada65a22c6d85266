import type { Todolist } from "../index.js";
import type { CallOptions } from "../rest/http.js";
import { earliest } from "../rest/lists.js";
import type { Position } from "../types.js";
import type { Kind, Thing } from "./kinds.js";

/** Everything of a person, and the position from which events go on. */
export async function fetchAll({ tasks, projects, labels, notifications, preferences }: Todolist, options: CallOptions): Promise<{ position: Position; lists: Record<Kind, Thing[]> }> {
  const lists = [tasks.list({}, options), projects.list({}, options), labels.list({}, options), notifications.list({}, options)] as const;
  const [task, project, label, notification] = (await Promise.all(lists.map((list) => list.all()))) as unknown as [Thing[], Thing[], Thing[], Thing[]];
  // Preferences say not as of which event they are, so they are read after what says so.
  const current = (await preferences.get(options)) as unknown as Thing;
  return { position: earliest(...lists), lists: { task, project, label, notification, preferences: [current] } };
}
