// What people do to tasks. It is done at once, and by the server when it can be reached.

import { announce, offerUndo } from "../page.js";
import { store } from "../store.js";

/** Completes it, with its open subtasks, or opens it again; what went into what is done can be taken back. */
export function tick(task, completed) {
  const open = [task, ...subtasksOf(task)].filter((one) => !one.completed);
  store.tasks.change(task.id, { completed });
  if (completed) offerUndo(`Done: ${task.text}`, () => open.forEach(({ id }) => store.tasks.change(id, { completed: false })));
}

/** Deletes it, with its subtasks, and offers to take that back. */
export function erase(task) {
  const all = [task, ...subtasksOf(task)];
  store.tasks.remove(task.id);
  offerUndo(`Deleted: ${task.text}`, () => all.forEach((one) => store.tasks.restore(one)));
}

/** @param {{after?: string, before?: string, to?: string}} where */
export function move(task, where) {
  store.tasks.move(task.id, where);
  announce(`Task moved: ${task.text}`);
}

function subtasksOf({ id }) {
  return store.tasks.all().filter((task) => task.parent_id === id);
}
