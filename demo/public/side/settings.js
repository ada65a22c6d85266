// Settings of a person: time zone, and when reminders come.

import { element } from "../page.js";
import { store } from "../store.js";
import { difference } from "../tasks/fields.js";

const dialog = element("settings");
const form = element("settings-form");
const BEFORE = [
  ["", "Only when it is due"], // null; 0 means the same
  ["5", "5 minutes"],
  ["15", "15 minutes"],
  ["30", "30 minutes"],
  ["60", "1 hour"],
  ["120", "2 hours"],
  ["1440", "1 day"],
];

let shown = null;

function fill({ time_zone: zone, remind_at: at, remind_before: before }) {
  const { elements } = form;
  const zones = new Set(["UTC", ...Intl.supportedValuesOf("timeZone"), zone]);
  elements.time_zone.replaceChildren(...[...zones].sort().map((name) => new Option(name.replaceAll("_", " "), name)));
  elements.time_zone.value = zone;
  elements.remind_at.value = at;
  const value = before ? String(before) : "";
  const known = BEFORE.some(([minutes]) => minutes === value);
  const choices = known ? BEFORE : [...BEFORE, [value, `${value} minutes`]];
  elements.remind_before.replaceChildren(...choices.map(([minutes, text]) => new Option(text, minutes)));
  elements.remind_before.value = value;
}

function read() {
  const { time_zone: zone, remind_at: at, remind_before: before } = form.elements;
  return { time_zone: zone.value, remind_at: at.value, remind_before: before.value === "" ? null : Number(before.value) };
}

element("settings-open").addEventListener("click", () => {
  fill(store.preferences.current());
  shown = read();
  dialog.showModal();
});
element("settings-cancel").addEventListener("click", () => dialog.close());
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const changes = difference(shown, read());
  if (changes) store.preferences.change(changes);
  dialog.close();
});
