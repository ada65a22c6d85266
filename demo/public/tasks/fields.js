// What can be typed and chosen of a task: the same fields where one is added and where one is edited.

import { dayInWords, dayOf, inWords as momentInWords, momentOf, timeOf } from "../dates.js";
import { stamp } from "../page.js";
import { store } from "../store.js";

export const PRIORITIES = ["None", "Low", "Medium", "High", "Urgent"];

const RULES = new Map([
  ["", "Never"],
  ["FREQ=DAILY", "Every day"],
  ["FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "On weekdays"],
  ["FREQ=WEEKLY", "Every week"],
  ["FREQ=MONTHLY", "Every month"],
  ["FREQ=YEARLY", "Every year"],
]);

/** A rule in words; those that this page does not offer are shown as they are. */
export const ruleInWords = (rule) => RULES.get(rule) ?? rule;

/** What people see of the fields that they can change. */
export const FIELDS = new Map([
  ["text", "Task"],
  ["name", "Name"],
  ["description", "Details"],
  ["completed", "Done"],
  ["due_on", "Day"],
  ["deadline", "Time"],
  ["priority", "Priority"],
  ["project_id", "List"],
  ["label_ids", "Labels"],
  ["recurrence", "Repeat"],
  ["color", "Color"],
  ["time_zone", "Time zone"],
  ["remind_at", "Reminder of a day"],
  ["remind_before", "Minutes before a deadline"],
  ["archived", "Archived"],
]);

/** A value of one of them. */
export function inWords(field, value) {
  if (field === "priority") return PRIORITIES[value];
  if (field === "recurrence") return ruleInWords(value);
  if (typeof value === "boolean") return value ? "Yes" : "No";
  if (field === "label_ids") return value.map((id) => store.labels.get(id)?.name).filter(Boolean).join(", ") || "None";
  if (value === null || value === "" || value === undefined) return "None";
  if (field === "deadline") return momentInWords(value);
  if (field === "due_on") return dayInWords(value);
  return field === "project_id" ? (store.projects.get(value)?.name ?? "None") : value;
}

/** What of the one is otherwise in the other, or null. Only that is sent, so that another's change of the rest is kept. */
export function difference(before, after) {
  const changed = Object.entries(after).filter(([field, value]) => JSON.stringify(value) !== JSON.stringify(before[field]));
  return changed.length ? Object.fromEntries(changed) : null;
}

/** Puts the fields that every form of a task has into `place`. */
export function addFields(place) {
  place.append(...stamp("fields-template").children);
}

/** @param {HTMLFormElement} form @param {object} task or what is to stand there from the start */
export function fill(form, task) {
  const { text, description, day, time, priority, project, recurrence } = form.elements;
  text.value = task.text ?? "";
  description.value = task.description ?? "";
  day.value = task.due_on ?? (task.deadline ? dayOf(task.deadline) : "");
  time.value = task.deadline ? timeOf(task.deadline) : "";
  choose(priority, PRIORITIES.map((name, value) => [String(value), name]), String(task.priority ?? 0));
  chooseProject(project, task.project_id ?? "");
  // The list of a subtask is that of its parent.
  project.closest("label").hidden = Boolean(task.parent_id);
  const rule = task.recurrence ?? "";
  choose(recurrence, RULES.has(rule) ? [...RULES] : [...RULES, [rule, `Other: ${rule}`]], rule);
  fillLabels(form.querySelector(".labels"), task.label_ids ?? []);
  followDay(form);
}

/** Brings what can be chosen up to date, and leaves what was. */
export function refreshChoices(form) {
  const { project } = form.elements;
  chooseProject(project, project.value);
  fillLabels(form.querySelector(".labels"), chosenLabels(form));
}

/** What the form holds, as the server names it. */
export function read(form) {
  const { text, description, day, time, priority, project, recurrence } = form.elements;
  return {
    text: text.value,
    description: description.value,
    due_on: day.value && !time.value ? day.value : null,
    deadline: day.value && time.value ? momentOf(day.value, time.value) : null,
    priority: Number(priority.value),
    project_id: project.value || null,
    label_ids: chosenLabels(form),
    recurrence: day.value ? recurrence.value : "",
  };
}

/** A time and a rule belong to a day. */
export function followDay(form) {
  const { day, time, recurrence } = form.elements;
  time.disabled = recurrence.disabled = !day.value;
  if (!day.value) time.value = "";
}

function chooseProject(select, value) {
  choose(select, [["", "None"], ...store.projects.all().map(({ id, name }) => [id, name])], value);
}

function choose(select, choices, value) {
  const wanted = JSON.stringify(choices);
  if (select.dataset.choices !== wanted) {
    select.dataset.choices = wanted;
    select.replaceChildren(...choices.map(([key, name]) => new Option(name, key)));
  }
  select.value = value;
  if (select.selectedIndex < 0) select.value = choices[0][0]; // a list that is gone
}

function chosenLabels(form) {
  return [...form.querySelectorAll(".labels input:checked")].map((box) => box.value).sort();
}

function fillLabels(place, chosen) {
  const labels = store.labels.all();
  place.closest("fieldset").hidden = !labels.length;
  const wanted = JSON.stringify(labels.map(({ id, name }) => [id, name]));
  if (place.dataset.labels !== wanted) {
    place.dataset.labels = wanted;
    place.replaceChildren(...labels.map(makeChoice));
  }
  for (const box of place.querySelectorAll("input")) box.checked = chosen.includes(box.value);
}

function makeChoice({ id, name }) {
  const item = stamp("choice-template");
  item.querySelector("input").value = id;
  item.querySelector("span").textContent = name;
  return item;
}
