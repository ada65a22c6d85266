// Deleted tasks: to bring back, or to drop for good.

import { call, callAll } from "../api.js";
import { inWords } from "../dates.js";
import { announce, ask, attempt, element, report, stamp } from "../page.js";
import { restore } from "../tasks/changes.js";

const list = element("trash-list");
let asked = null;

/** Fetches it anew, as no event tells of it. */
export async function showTrash() {
  const mine = (asked = Symbol("trash"));
  try {
    const tasks = await callAll("/trash");
    if (mine === asked) fill(tasks);
  } catch (error) {
    if (error.status !== 0) report(error);
  }
}

export function clearTrash() {
  asked = null;
  fill([]);
}

function fill(tasks) {
  const focused = list.contains(document.activeElement);
  list.replaceChildren(...tasks.map(makeItem));
  element("no-trash").hidden = tasks.length > 0;
  element("empty-trash").hidden = !tasks.length;
  if (focused) (list.querySelector("button") ?? element("tasks-title")).focus();
}

function makeItem(task) {
  const item = stamp("trash-template");
  item.querySelector(".text").textContent = task.text;
  const time = item.querySelector("time");
  time.dateTime = task.deleted_at;
  time.textContent = inWords(task.deleted_at);
  const [back, drop] = item.querySelectorAll("button");
  back.setAttribute("aria-label", `Restore: ${task.text}`);
  drop.setAttribute("aria-label", `Delete for good: ${task.text}`);
  back.addEventListener("click", async () => {
    await restore(task);
    await showTrash();
  });
  drop.addEventListener("click", async () => {
    if (!(await ask({ title: "Delete this task for good?", text: task.text, action: "Delete for good" }))) return;
    await attempt(async () => {
      await call("DELETE", `/trash/${task.id}`);
      announce(`Deleted for good: ${task.text}`);
    });
    await showTrash();
  });
  return item;
}

element("empty-trash").addEventListener("click", async () => {
  const text = "All tasks in it are deleted for good.";
  if (!(await ask({ title: "Empty the trash?", text, action: "Empty it" }))) return;
  await attempt(() => call("DELETE", "/trash"));
  await showTrash();
  element("tasks-title").focus();
});
