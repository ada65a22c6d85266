// One task on the page: how it looks, and what can be done to it.

import { dayInWords, dueOf, inWords } from "../dates.js";
import { openMenu } from "./menu.js";
import { ask, stamp } from "../page.js";
import { store } from "../store.js";
import { erase, move, tick } from "./changes.js";
import { PRIORITIES, addFields, difference, fill, followDay, read, ruleInWords } from "./fields.js";
import { moveBy, startDrag } from "./reorder.js";

/** @param {() => void} closed called when a form in it was closed */
export function makeItem(id, closed) {
  const item = stamp("task-template");
  item.dataset.id = id;
  item.addEventListener("closed", closed);
  // A task that was deleted elsewhere may still be on the page, with a form.
  const act = (action) => (event) => {
    const task = store.tasks.get(id);
    if (task) action(task, event);
  };
  const view = item.querySelector(".view");
  view.querySelector("input").addEventListener("change", act((task, { target }) => tick(task, target.checked)));
  view.querySelector(".edit").addEventListener("click", act((task) => edit(item, task)));
  view.querySelector(".delete").addEventListener("click", act(erase));
  const openActions = (task, { currentTarget }) => openMenu(currentTarget, `Actions: ${task.text}`, actions(item, task));
  view.querySelector(".more").addEventListener("click", act(openActions));
  view.querySelector(".handle").addEventListener("pointerdown", (event) => startDrag(event, item));
  view.addEventListener("keydown", (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!event.altKey || !step) return;
    event.preventDefault();
    moveBy(item, step);
  });
  return item;
}

function actions(item, task) {
  return [
    ...(task.parent_id ? [] : [["New subtask", () => addSubtask(item, task)]]),
    ["Edit", () => edit(item, task)],
    ["Move up", () => moveBy(item, -1), "Alt+↑"],
    ["Move down", () => moveBy(item, 1), "Alt+↓"],
    ["Move to the top", () => move(task, { to: "top" })],
    ["Delete", () => erase(task)],
  ];
}

/** @param {{alone: boolean, view: object}} where whether it is a subtask that stands without its parent */
export function fillItem(item, task, { alone, view }) {
  item.classList.toggle("done", task.completed);
  const part = (name) => item.querySelector(`:scope > .view ${name}`);
  part(".text").textContent = task.text;
  part(".tick input").checked = task.completed;
  part(".edit").setAttribute("aria-label", `Edit: ${task.text}`);
  part(".delete").setAttribute("aria-label", `Delete: ${task.text}`);
  part(".more").setAttribute("aria-label", `More: ${task.text}`);
  item.querySelector(":scope > .subtasks").setAttribute("aria-label", `Subtasks of: ${task.text}`);
  const description = part(".description");
  description.textContent = task.description;
  description.hidden = !task.description;
  fillWhen(item, task);

  const marks = [];
  if (task.priority) marks.push(makeMark(PRIORITIES[task.priority], `priority-${task.priority}`));
  if (task.recurrence) marks.push(makeMark(`↻ ${ruleInWords(task.recurrence)}`));
  const project = store.projects.get(task.project_id);
  if (project && !task.parent_id && view.thing?.[1].id !== project.id) marks.push(makeMark(project.name, "list-mark", project.color));
  const labels = task.label_ids.map((id) => store.labels.get(id)).filter(Boolean);
  for (const { name, color } of labels) marks.push(makeMark(name, "label-mark", color));
  if (alone && store.tasks.get(task.parent_id)) marks.push(makeMark(`of: ${store.tasks.get(task.parent_id).text}`));
  part(".marks").replaceChildren(...marks);
  part(".facts").hidden = !marks.length && part(".deadline").hidden;
}

function makeMark(text, name = "", color = "") {
  const mark = document.createElement("span");
  mark.className = `mark ${name}`;
  if (name.endsWith("-mark")) {
    const dot = document.createElement("span");
    dot.className = "color";
    if (color) dot.style.setProperty("--color", color);
    mark.append(dot);
  }
  mark.append(text);
  return mark;
}

function fillWhen(item, task) {
  const line = item.querySelector(":scope > .view .deadline");
  const { deadline, due_on: dueOn, completed } = task;
  const overdue = !completed && dueOf(task) === "overdue";
  line.hidden = !deadline && !dueOn;
  line.classList.toggle("overdue", overdue);
  if (line.hidden) return;
  const time = line.querySelector("time");
  time.dateTime = deadline ?? dueOn;
  time.textContent = (overdue ? "Overdue: " : "") + (deadline ? inWords(deadline) : dayInWords(dueOn));
}

/** Whether it is being edited, or given subtasks. */
export const hasForm = (item) => Boolean(item?.querySelector(":scope > form"));

function edit(item, task) {
  if (hasForm(item)) return item.querySelector(":scope > form").elements.text.focus();
  const form = stamp("edit-template");
  addFields(form.querySelector(".fields"));
  fill(form, task);
  // As the inputs show them: a browser may alter a value, and what nobody touched is not to be sent.
  const before = read(form);
  const close = opened(item, form, ".edit");
  form.addEventListener("input", () => followDay(form));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const changes = difference(before, read(form));
    if (changes && !(await overwrites(task, changes))) return;
    if (changes) {
      if (!store.tasks.get(task.id)) store.tasks.restore(task); // deleted elsewhere meanwhile
      store.tasks.change(task.id, changes);
    }
    close();
  });
  item.classList.add("editing");
}

/** Asks before a text is replaced that somebody wrote while the form was open. @returns whether to go on */
async function overwrites(task, changes) {
  const now = store.tasks.get(task.id);
  const isOther = (field) => field in changes && now && ![task[field], changes[field]].includes(now[field]);
  const others = ["text", "description"].filter(isOther).map((field) => now[field]);
  const text = `It says now: ${others.join("\n\n")}`;
  return !others.length || ask({ title: "Replace what was written meanwhile?", text, action: "Replace" });
}

function addSubtask(item, task) {
  if (hasForm(item)) return item.querySelector(":scope > form").elements.text.focus();
  const form = stamp("subtask-template");
  opened(item, form, ".more");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    store.tasks.create({ text: form.elements.text.value, parent_id: task.id });
    form.reset(); // and stays, for the next one
    form.elements.text.focus();
  });
}

/** Puts a form into the item. @returns a function that takes it away */
function opened(item, form, opener) {
  const close = () => {
    const hadFocus = form.contains(document.activeElement);
    form.remove();
    item.classList.remove("editing");
    if (hadFocus) {
      const button = item.querySelector(`:scope > .view ${opener}`);
      (button.checkVisibility() ? button : item.querySelector(":scope > .view .more")).focus();
    }
    item.dispatchEvent(new Event("closed")); // from now on it may belong elsewhere, or nowhere
  };
  form.querySelector(".cancel").addEventListener("click", close);
  form.addEventListener("keydown", (event) => event.key === "Escape" && close());
  item.querySelector(":scope > .subtasks").before(form);
  form.elements.text.focus();
  return close;
}
