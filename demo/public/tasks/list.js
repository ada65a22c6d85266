// Shows the tasks of the current view: in groups by when they are due, with their subtasks, what is done folded away.

import { dueOf } from "../dates.js";
import { element } from "../page.js";
import { store } from "../store.js";
import { fillItem, hasForm, makeItem } from "./item.js";
import { currentView } from "./views.js";

const groups = element("list");
const none = element("no-tasks");
const heading = element("tasks-title");
const done = element("done-fold");
const priority = element("priority-filter");

const GROUPS = ["overdue", "today", "upcoming", "none", "done"];

let items = new Map(); // id → its <li>
let shownKey = "";

/** Brings what is shown in line with what is known. */
export function showTasks() {
  const view = currentView();
  if (view.key !== shownKey) startView(view);
  const focused = document.activeElement;
  const place = focused?.closest("li.task");
  const focusedIndex = place ? visibleItems().indexOf(place) : -1;

  const tasks = store.tasks.all();
  const { loaded } = store.status();
  for (const [id, item] of items) {
    if (!loaded || store.tasks.get(id) || isWrittenIn(item)) continue;
    item.remove();
    items.delete(id);
  }
  const shown = arrange(tasks, view);
  for (const [id, item] of items) if (!shown.has(id) && !isWrittenIn(item)) item.hidden = true;

  for (const name of GROUPS) {
    const list = element(`group-${name}`);
    const some = [...list.children].filter((item) => !item.hidden).length;
    list.closest(".group").hidden = some === 0;
    if (name === "done") element("done-title").textContent = `Done (${some})`;
  }
  none.hidden = shown.size > 0 || !loaded || view.key === "trash";
  none.textContent = Number(priority.value) ? "None of this priority." : view.nothing;
  // One group alone needs no title beside that of the page.
  groups.classList.toggle("single", Boolean(view.due));
  groups.setAttribute("aria-busy", String(!loaded));
  keepFocus(focused, place, focusedIndex);
}

/** Puts each task where it belongs. @returns {Set<string>} the ids of those in sight */
function arrange(tasks, view) {
  const wanted = Number(priority.value);
  // What is being edited stays in sight.
  const passes = (task) => (view.shows(task) && (!wanted || task.priority === wanted)) || hasForm(items.get(task.id));
  const lists = new Map(GROUPS.map((name) => [element(`group-${name}`), []]));
  const shown = new Set();
  const put = (list, task) => {
    if (!lists.has(list)) lists.set(list, []);
    lists.get(list).push(task);
    shown.add(task.id);
  };

  const tops = tasks.filter((task) => passes(task) && !nestedIn(task, passes));
  for (const task of tops) {
    // What is being edited also stays where it is, and is not folded away.
    const place = hasForm(items.get(task.id)) ? items.get(task.id).closest(".group > .list") : null;
    put(place ?? element(`group-${task.completed ? "done" : dueOf(task)}`), task);
  }
  // Whoever sees a task sees its subtasks, whatever the view.
  for (const task of tasks) {
    const parent = store.tasks.get(task.parent_id);
    if (parent && shown.has(parent.id) && goesWith(task, parent) && !shown.has(task.id)) {
      put(itemOf(parent).querySelector(".subtasks"), task);
    }
  }
  for (const [list, members] of lists) {
    members.forEach((task, index) => {
      const item = itemOf(task);
      fillItem(item, task, { alone: Boolean(task.parent_id) && !list.classList.contains("subtasks"), view });
      item.hidden = false;
      // Moving an element takes the focus from it, so move only what stands elsewhere.
      if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
    });
  }
  return shown;
}

/** Whether somebody is writing in it, or in one of its subtasks: then it stays, even where the task is gone. */
const isWrittenIn = (item) => Boolean(item.querySelector("form"));

function nestedIn(task, passes) {
  const parent = store.tasks.get(task.parent_id);
  return Boolean(parent) && passes(parent) && goesWith(task, parent);
}

/** An open subtask of a task that is done is not folded away with it. */
const goesWith = (task, parent) => task.completed || !parent.completed;

function itemOf(task) {
  if (!items.has(task.id)) items.set(task.id, makeItem(task.id, showTasks));
  return items.get(task.id);
}

function startView(view) {
  shownKey = view.key;
  done.open = false;
  priority.value = "0";
}

/** What had the focus keeps it where it was moved; where it went out of sight, a neighbour gets it, not nobody. */
function keepFocus(focused, place, index) {
  if (!place) return;
  const nobody = document.activeElement === focused || document.activeElement === document.body;
  if (!nobody) return;
  if (focused.isConnected && focused.checkVisibility()) return focused.focus();
  // Whoever was typing is not to go on typing into a checkbox.
  if (focused.matches("textarea, select, input:not([type=checkbox])")) return heading.focus();
  const all = visibleItems();
  const neighbour = all[Math.min(index, all.length - 1)];
  (neighbour?.querySelector("input") ?? heading).focus();
}

function visibleItems() {
  return [...groups.querySelectorAll("li.task")].filter((item) => item.checkVisibility());
}

/** Moves the focus to a task, as a notification asks for. */
export function focusTask(id) {
  const seen = () => items.get(id)?.checkVisibility();
  if (!seen() && store.tasks.get(id)) {
    priority.value = "0";
    history.pushState(null, "", "#all");
    dispatchEvent(new HashChangeEvent("hashchange"));
    if (!seen()) done.open = true;
  }
  (seen() ? items.get(id).querySelector("input") : heading).focus();
}

/** Forgets one person's tasks before another's are shown. */
export function clearTasks() {
  for (const item of items.values()) item.remove();
  items = new Map();
  shownKey = "";
}

priority.addEventListener("change", showTasks);
