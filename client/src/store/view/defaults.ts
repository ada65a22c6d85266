import type { Fields, Kind, Thing } from "../kinds.js";

const OF_TASKS = {
  text: "",
  description: "",
  completed: false,
  completed_at: null,
  deadline: null,
  due_on: null,
  priority: 0,
  project_id: null,
  label_ids: [],
  parent_id: null,
  recurrence: "",
  previous_id: null,
  order: 0,
};

/** Something that the server has not seen yet: at version 0, in no position, which is the top. */
export function newFields(kind: Kind, id: string, body: Fields, at: string): Thing {
  const defaults: Fields = kind === "task" ? OF_TASKS : kind === "project" ? { color: "", archived: false } : { color: "" };
  const completed_at = body["completed"] ? at : null;
  const common = { user_id: "", version: 0, position: "", created_at: at, updated_at: at };
  return { ...defaults, ...(kind === "task" && { completed_at }), ...body, ...common, id } as Thing;
}

/** Of a task that is shown, what makes another one like it. It does not repeat: the first one does. */
export function copied(thing: Fields, changes: Fields): Fields {
  const { completed_at, recurrence, previous_id, ...fields } = OF_TASKS;
  const all = { ...thing, ...changes };
  return Object.fromEntries(Object.keys(fields).filter((field) => all[field] !== null && all[field] !== undefined).map((field) => [field, all[field]]));
}
