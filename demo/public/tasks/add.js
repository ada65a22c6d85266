// The form at the top that adds tasks. It begins with what the current view says.

import { element } from "../page.js";
import * as store from "../store.js";
import { adder } from "./changes.js";
import { addFields, fill, followDay, read, refreshChoices } from "./fields.js";
import { currentView } from "./views.js";

const form = element("add");
const add = adder(form);
let startedFor = null;

/** Begins anew where another view is shown, and follows lists and labels as they come and go. */
export function showAdd() {
  const { key, gives } = currentView();
  const start = JSON.stringify([key, gives]);
  if (startedFor === start) return refreshChoices(form);
  const typed = form.elements.text.value;
  startedFor = start;
  fill(form, { ...gives, text: typed });
}

export function clearAdd() {
  form.reset();
  startedFor = null;
}

addFields(form.querySelector(".fields"));
form.addEventListener("input", () => followDay(form));
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!(await add(read(form)))) return;
  element("add-more").open = false;
  fill(form, currentView().gives);
  form.elements.text.focus();
});

store.listen(showAdd);
