// What the page can show: all tasks, those due, those of a list or a label, the trash. The address says which one.

import { dueOf, today } from "../dates.js";
import { store } from "../store.js";

const DUE = { today: "Today", upcoming: "Upcoming", overdue: "Overdue" };

/**
 * @typedef {object} View
 * @property {string} key what stands in the address
 * @property {string} title
 * @property {(task: object) => boolean} shows
 * @property {object} gives what a task that is added here has from the start
 * @property {boolean=} due whether it shows what is due at one time
 * @property {string} nothing what to say where there is none
 * @property {[("project" | "label"), object]=} thing what it is the view of
 */

/** @returns {View} */
export function currentView() {
  const key = location.hash.slice(1) || "all";
  const [kind, id] = key.split("=");
  if (Object.hasOwn(DUE, kind)) return dueView(kind);
  const thing = id && (kind === "project" || kind === "label") ? store[`${kind}s`].get(id) : null;
  if (thing) return { project: projectView, label: labelView }[kind](thing);
  if (key === "trash") return { key, title: "Trash", shows: () => false, gives: {}, nothing: "" };
  return {
    key: "all",
    title: "Tasks",
    shows: () => true,
    gives: {},
    nothing: "No tasks yet. Add your first one above.",
  };
}

function dueView(due) {
  return {
    key: due,
    due: true,
    title: DUE[due],
    shows: (task) => !task.completed && dueOf(task) === due && counts(task),
    gives: due === "today" ? { due_on: today() } : {},
    nothing: due === "overdue" ? "Nothing is late." : "Nothing to do.",
  };
}

/** Those of archived lists are neither counted nor due (docs/api.md, section 4). */
const counts = (task) => !store.projects.get(task.project_id)?.archived;

/** How many there are, as `GET /tasks/counts` has it; here it is known without a connection. */
export function count() {
  const found = { open: 0, completed: 0, overdue: 0, today: 0, upcoming: 0, none: 0, byProject: new Map(), byLabel: new Map() };
  const add = (map, id) => map.set(id, (map.get(id) ?? 0) + 1);
  for (const task of store.tasks.all().filter(counts)) {
    found[task.completed ? "completed" : "open"] += 1;
    if (task.completed) continue;
    found[dueOf(task)] += 1;
    add(found.byProject, task.project_id);
    for (const id of task.label_ids) add(found.byLabel, id);
  }
  return found;
}

function projectView(project) {
  return {
    key: `project=${project.id}`,
    title: project.name,
    shows: (task) => task.project_id === project.id,
    gives: { project_id: project.id },
    nothing: "Nothing in this list yet.",
    thing: ["project", project],
  };
}

function labelView(label) {
  return {
    key: `label=${label.id}`,
    title: label.name,
    shows: (task) => task.label_ids.includes(label.id),
    gives: { label_ids: [label.id] },
    nothing: "No task has this label.",
    thing: ["label", label],
  };
}
