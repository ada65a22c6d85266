// The form at the top that adds tasks. It begins with what the current view says.

import { element } from "../page.js";
import { store } from "../store.js";
import { addFields, difference, fill, followDay, read, refreshChoices } from "./fields.js";
import { currentView } from "./views.js";

const form = element("add");
let startedFor = null;
let start = null; // what the form held then

/** Begins anew where another view is shown, with what was typed, and follows lists and labels as they come and go. */
export function showAdd() {
  if (startedFor && !store.status().loaded) return; // of whoever is back, and sees again what they typed
  const { key, gives } = currentView();
  const wanted = JSON.stringify([key, gives]);
  if (startedFor === wanted) return refreshChoices(form);
  const typed = start && difference(start, read(form));
  startedFor = wanted;
  begin(gives);
  if (typed) fill(form, { ...gives, ...typed });
}

function begin(gives) {
  fill(form, gives);
  start = read(form);
}

export function clearAdd() {
  form.reset();
  startedFor = start = null;
}

addFields(form.querySelector(".fields"));
form.addEventListener("input", () => followDay(form));
form.addEventListener("submit", (event) => {
  event.preventDefault();
  store.tasks.create(read(form));
  element("add-more").open = false;
  begin(currentView().gives);
  form.elements.text.focus();
});
