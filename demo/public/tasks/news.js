// Says what became of tasks, whoever did it, to those who cannot see it happen.

import { announce } from "../page.js";
import { store } from "../store.js";
import { FIELDS } from "./fields.js";

let last = null; // the list, as it was
let known = new Map(); // id → task

export function announceNews() {
  const tasks = store.tasks.all();
  if (!store.status().loaded || tasks === last) return;
  const first = last === null;
  last = tasks;
  const before = known;
  known = new Map(tasks.map((task) => [task.id, task]));
  if (first) return;

  const news = [];
  for (const [id, task] of known) {
    const old = before.get(id);
    if (!old) news.push(`Task added: ${task.text}`);
    else if (old !== task && looks(old) !== looks(task)) news.push(`Task changed: ${task.text}`);
  }
  for (const [id, { text }] of before) if (!known.has(id)) news.push(`Task deleted: ${text}`);
  if (news.length) announce(news.length === 1 ? news[0] : `${news[0]}, and ${news.length - 1} more changes`);
}

export function clearNews() {
  last = null;
  known = new Map();
}

const looks = (task) => JSON.stringify([...FIELDS.keys()].map((field) => task[field]));
