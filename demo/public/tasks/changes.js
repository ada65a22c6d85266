// What people do to tasks: each is one call, and what the server answers is shown.

import { call } from "../api.js";
import { announce, attempt, offerUndo } from "../page.js";
import * as store from "../store.js";

export async function change(task, changes, form = null) {
  return attempt(async () => {
    const response = await call("PATCH", `/tasks/${task.id}`, { body: changes });
    if (store.put("task", await response.json())) announce(`Task changed: ${task.text}`);
  }, form);
}

/** Makes a function that adds tasks, for one form. */
export function adder(form) {
  let draft = { body: "", key: "" };
  return async (body) => {
    // Pressed again after an answer got lost, the same key keeps the server from adding the task twice.
    const text = JSON.stringify(body);
    if (draft.body !== text) draft = { body: text, key: randomKey() };
    return attempt(async () => {
      const response = await call("POST", "/tasks", { body, headers: { "Idempotency-Key": draft.key } });
      if (store.put("task", await response.json())) announce(`Task added: ${body.text}`);
      draft = { body: "", key: "" };
    }, form);
  };
}

/** Deletes at once, and offers to take it back. */
export async function erase(task) {
  const subtasks = store.subtasksOf(task.id);
  const done = await attempt(async () => {
    try {
      await call("DELETE", `/tasks/${task.id}`);
    } catch (error) {
      if (error.status !== 404) throw error; // gone is what we wanted
    }
    for (const { id } of [...subtasks, task]) store.remove("task", id);
  });
  if (done) offerUndo(`Deleted: ${task.text}`, () => restore(task));
}

/** Brings a task back from the trash; the subtasks that went with it come as events. */
export async function restore({ id, text }) {
  return attempt(async () => {
    const response = await call("POST", `/trash/${id}/restore`);
    if (store.put("task", await response.json())) announce(`Task restored: ${text}`);
  });
}

/** @param {{after?: string, before?: string, to?: string}} where */
export async function move(task, where) {
  return attempt(async () => {
    const response = await call("POST", `/tasks/${task.id}/move`, { body: where });
    if (store.put("task", await response.json())) announce(`Task moved: ${task.text}`);
  });
}

// crypto.randomUUID() would do, but is missing where the page is served over plain HTTP under another name.
function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
