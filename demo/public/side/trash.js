// Deleted tasks: to bring back, or to drop for good. The server alone has them.

import { inWords } from "../dates.js";
import { announce, ask, attempt, element, stamp } from "../page.js";
import { store, todolist } from "../store.js";

const list = element("trash-list");
const none = element("no-trash");
let asked = null;
let shownFor = []; // what was known when it was asked for

/** Fetches it anew where tasks have come or gone since, as no event tells of it. */
export function showTrash() {
  const { state, pending } = store.status();
  const now = [store.tasks.all(), pending, state === "live"];
  if (now.some((one, index) => one !== shownFor[index])) fetchTrash(now);
}

export function clearTrash() {
  asked = null;
  shownFor = [];
  fill([], "Loading…");
}

async function fetchTrash(now = shownFor) {
  if (!todolist) return;
  const mine = (asked = Symbol("trash"));
  shownFor = now;
  try {
    const tasks = await todolist.trash.list({}, { tries: 1 }).all();
    if (mine === asked) fill(tasks, "The trash is empty.");
  } catch (error) {
    if (mine === asked) fill([], error.code === "unreachable" ? "The trash cannot be shown without a connection." : error.message);
  }
}

function fill(tasks, otherwise) {
  const focused = list.contains(document.activeElement);
  list.replaceChildren(...tasks.map(makeItem));
  none.textContent = otherwise;
  none.hidden = tasks.length > 0;
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
    await attempt(() => todolist.trash.restore(task.id));
    await fetchTrash();
  });
  drop.addEventListener("click", async () => {
    if (!(await ask({ title: "Delete this task for good?", text: task.text, action: "Delete for good" }))) return;
    await attempt(async () => {
      await todolist.trash.drop(task.id);
      announce(`Deleted for good: ${task.text}`);
    });
    await fetchTrash();
  });
  return item;
}

element("empty-trash").addEventListener("click", async () => {
  const text = "All tasks in it are deleted for good.";
  if (!(await ask({ title: "Empty the trash?", text, action: "Empty it" }))) return;
  await attempt(() => todolist.trash.empty());
  await fetchTrash();
  element("tasks-title").focus();
});
