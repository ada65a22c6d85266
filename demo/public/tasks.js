// The list of tasks: what is known of them, and how they are shown and changed.

import { call, callAll } from "./api.js";
import { fromInput, inWords, toInput } from "./dates.js";
import { announce, ask, element, report, stamp } from "./page.js";

const list = element("list");
const count = element("count");
const none = element("no-tasks");
const heading = element("tasks-title");
const addForm = element("add");
const filter = element("filter");

const SHOWN = {
  all: () => true,
  open: (task) => !task.completed,
  done: (task) => task.completed,
};
const NOTHING = {
  all: "No tasks yet. Add your first one above.",
  open: "Nothing left to do.",
  done: "Nothing done yet.",
};

let tasks = new Map(); // id → task
let items = new Map(); // id → its <li>
let deleted = new Set(); // ids never come back, so a late answer about one of these is dropped
let loading = null;
let held = []; // events that arrive while the list is being fetched
let draft = { body: "", key: "" };

/** Forgets one person's tasks before another's are shown. */
export function clear() {
  tasks = new Map();
  deleted = new Set();
  held = [];
  loading = null;
  addForm.reset();
  filter.elements.show.value = "all";
  list.replaceChildren();
  items = new Map();
  none.hidden = true;
  count.textContent = "";
}

/** Fetches the whole list. */
export async function load() {
  const mine = (loading = Symbol("load"));
  list.setAttribute("aria-busy", "true");
  try {
    const fetched = await callAll("/tasks");
    if (loading !== mine) return; // a later load, or another person
    tasks = new Map(fetched.filter(({ id }) => !deleted.has(id)).map((task) => [task.id, task]));
    showAll();
  } finally {
    if (loading === mine) {
      loading = null;
      list.removeAttribute("aria-busy");
      // The list may be from before or after these; each says how things are, so applying one twice does no harm.
      for (const event of held.splice(0)) apply(event);
    }
  }
}

/** An event of the socket. */
export function apply(event) {
  if (loading) {
    held.push(event);
    return;
  }
  const { type, data } = event;
  const known = tasks.get(data.id);
  if (type === "task.deleted") {
    if (known) announce(`Task deleted: ${known.text}`);
    return remove(data.id);
  }
  if (put(data)) announce(`${known ? "Task changed" : "Task added"}: ${data.text}`);
}

/** Brings "Today" and "Overdue" up to date as time passes. */
export function refreshDates() {
  for (const task of tasks.values()) fillDeadline(items.get(task.id), task);
}

/** Moves the focus to a task, as a notification asks for. */
export function focusTask(id) {
  if (tasks.has(id) && items.get(id).hidden) {
    filter.elements.show.value = "all";
    showAll();
  }
  (items.get(id)?.querySelector("input") ?? heading).focus();
}

/** @returns {boolean} whether that was news */
function put(task) {
  const known = tasks.get(task.id);
  if (deleted.has(task.id) || (known && new Date(known.updated_at) > new Date(task.updated_at))) return false;
  if (known && JSON.stringify(known) === JSON.stringify(task)) return false;
  tasks.set(task.id, task);
  showAll();
  return true;
}

function remove(id) {
  deleted.add(id);
  if (!tasks.delete(id)) return;
  showAll();
}

function showAll() {
  const show = SHOWN[filter.elements.show.value];
  const focused = [...items.entries()].find(([, item]) => item.contains(document.activeElement));
  const order = [...tasks.values()].sort(newestFirst);

  for (const [id, item] of items) {
    if (tasks.has(id)) continue;
    item.remove();
    items.delete(id);
  }
  order.forEach((task, index) => {
    const item = items.get(task.id) ?? makeItem(task);
    fillItem(item, task);
    // What is being edited stays in sight.
    item.hidden = !show(task) && !item.querySelector(".editor");
    // Moving an element takes the focus from it, so move only what stands elsewhere.
    if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
  });
  if (focused) keepFocus(...focused);

  const open = order.filter(SHOWN.open).length;
  count.textContent = order.length ? `${open} to do, ${order.length - open} done` : "";
  none.hidden = order.some(show);
  none.textContent = NOTHING[filter.elements.show.value];
}

/** Where the focused task went out of sight, the focus goes to its neighbour rather than to nowhere. */
function keepFocus(id, item) {
  if (items.get(id) === item && !item.hidden) return;
  if (document.activeElement !== document.body && !item.contains(document.activeElement)) return;
  const neighbour = [...list.children].find((other) => !other.hidden);
  (neighbour?.querySelector("input") ?? heading).focus();
}

function newestFirst(a, b) {
  return new Date(b.created_at) - new Date(a.created_at) || (a.id < b.id ? 1 : -1);
}

function makeItem({ id }) {
  const item = stamp("task-template");
  const current = () => tasks.get(id);
  item.dataset.id = id;
  item.querySelector("input").addEventListener("change", ({ target }) => tick(current(), target));
  item.querySelector(".edit").addEventListener("click", () => edit(item, current()));
  item.querySelector(".delete").addEventListener("click", () => erase(current()));
  items.set(id, item);
  return item;
}

function fillItem(item, task) {
  item.classList.toggle("done", task.completed);
  item.querySelector(".text").textContent = task.text;
  item.querySelector(".tick input").checked = task.completed;
  item.querySelector(".edit").setAttribute("aria-label", `Edit: ${task.text}`);
  item.querySelector(".delete").setAttribute("aria-label", `Delete: ${task.text}`);
  const description = item.querySelector(".description");
  description.textContent = task.description ?? "";
  description.hidden = !task.description;
  fillDeadline(item, task);
}

function fillDeadline(item, { deadline, completed }) {
  const line = item.querySelector(".deadline");
  const overdue = Boolean(deadline) && !completed && new Date(deadline) < new Date();
  line.hidden = !deadline;
  line.classList.toggle("overdue", overdue);
  if (!deadline) return;
  const time = line.querySelector("time");
  time.dateTime = deadline;
  time.textContent = (overdue ? "Overdue: " : "") + inWords(deadline);
}

async function tick(task, box) {
  const completed = box.checked;
  box.setAttribute("aria-busy", "true");
  const done = await attempt(() => change(task, { completed }));
  box.removeAttribute("aria-busy");
  if (!done) box.checked = tasks.get(task.id)?.completed ?? !completed;
}

function edit(item, task) {
  if (item.querySelector(".editor")) return;
  const form = stamp("edit-template");
  const fields = form.elements;
  fields.text.value = task.text;
  fields.description.value = task.description ?? "";
  fields.deadline.value = toInput(task.deadline);
  // As the inputs show them: a browser may alter a value, and what nobody touched is not to be sent.
  const before = { text: fields.text.value, description: fields.description.value, deadline: fields.deadline.value };

  const close = () => {
    const hadFocus = form.contains(document.activeElement);
    form.remove();
    item.classList.remove("editing");
    if (hadFocus) item.querySelector(".edit").focus();
    showAll();
  };
  form.querySelector(".cancel").addEventListener("click", close);
  form.addEventListener("keydown", (event) => event.key === "Escape" && close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const changes = {};
    if (fields.text.value !== before.text) changes.text = fields.text.value;
    if (fields.description.value !== before.description) changes.description = fields.description.value;
    if (fields.deadline.value !== before.deadline) changes.deadline = fromInput(fields.deadline.value);
    // Only what was changed, so that another window's change of another field is kept.
    if (!Object.keys(changes).length || (await attempt(() => change(task, changes), form))) close();
  });
  item.classList.add("editing");
  item.append(form);
  fields.text.focus();
}

async function erase(task) {
  if (!(await ask(task.text))) return;
  await attempt(async () => {
    try {
      await call("DELETE", `/tasks/${task.id}`);
    } catch (error) {
      if (error.status !== 404) throw error; // gone is what we wanted
    }
    announce(`Task deleted: ${task.text}`);
    remove(task.id);
  });
}

async function change(task, changes) {
  const response = await call("PATCH", `/tasks/${task.id}`, { body: changes });
  if (put(await response.json())) announce(`Task changed: ${task.text}`);
}

async function add() {
  const fields = addForm.elements;
  const body = { text: fields.text.value, deadline: fromInput(fields.deadline.value) };
  // Pressed again after an answer got lost, the same key keeps the server from adding the task twice.
  const text = JSON.stringify(body);
  if (draft.body !== text) draft = { body: text, key: randomKey() };

  const added = await attempt(async () => {
    const response = await call("POST", "/tasks", { body, headers: { "Idempotency-Key": draft.key } });
    const task = await response.json();
    if (put(task)) announce(`Task added: ${task.text}`);
  }, addForm);
  if (!added) return;
  draft = { body: "", key: "" };
  addForm.reset();
  fields.text.focus();
}

/** Runs a change, with the buttons of its form off meanwhile; a failure is shown. @returns whether it worked */
async function attempt(action, form = null) {
  const buttons = form ? form.querySelectorAll("button[type=submit]") : [];
  for (const button of buttons) button.disabled = true;
  try {
    await action();
    report("");
    return true;
  } catch (error) {
    report(error);
    return false;
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

// crypto.randomUUID() would do, but is missing where the page is served over plain HTTP under another name.
function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

addForm.addEventListener("submit", (event) => {
  event.preventDefault();
  add();
});
filter.addEventListener("change", showAll);
