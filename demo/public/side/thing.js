// Makes, changes and deletes a list or a label.

import { call } from "../api.js";
import { ask, attempt, stamp } from "../page.js";
import * as store from "../store.js";

const WORDS = {
  project: { path: "/projects", name: "list", longest: 100, after: "Its tasks stay, in no list." },
  label: { path: "/labels", name: "label", longest: 60, after: "It is taken off its tasks." },
};
const COLORS = [
  ["", "None"],
  ["#d64545", "Red"],
  ["#d9822b", "Orange"],
  ["#b8960c", "Yellow"],
  ["#2f9e63", "Green"],
  ["#2a8fb8", "Blue"],
  ["#7a5bd0", "Purple"],
  ["#c2508f", "Pink"],
];

/** @param {"project" | "label"} kind @param {object | null} thing null for a new one @returns what was saved, or null */
export function editThing(kind, thing) {
  const { path, name, longest } = WORDS[kind];
  const dialog = stamp("thing-dialog");
  const form = dialog.querySelector("form");
  const { elements } = form;
  dialog.querySelector("h2").textContent = thing ? `Edit ${name}` : `New ${name}`;
  elements.name.maxLength = longest;
  elements.name.value = thing?.name ?? "";
  const known = COLORS.some(([value]) => value === (thing?.color ?? ""));
  const colors = known ? COLORS : [...COLORS, [thing.color, thing.color]];
  elements.color.append(...colors.map(([value, text]) => new Option(text, value)));
  elements.color.value = thing?.color ?? "";
  const erase = dialog.querySelector(".erase");
  erase.hidden = !thing;
  let saved = null;

  dialog.querySelector(".cancel").addEventListener("click", () => dialog.close());
  erase.addEventListener("click", async () => {
    if (await eraseThing(kind, thing)) dialog.close();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = { name: elements.name.value, color: elements.color.value };
    const done = await attempt(async () => {
      const response = await (thing ? call("PATCH", `${path}/${thing.id}`, { body }) : call("POST", path, { body }));
      saved = await response.json();
      store.put(kind, saved);
    }, form);
    if (done) dialog.close();
  });
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(saved);
    });
  });
}

async function eraseThing(kind, thing) {
  const { path, name, after } = WORDS[kind];
  if (!(await ask({ title: `Delete this ${name}?`, text: `${thing.name}. ${after}`, action: "Delete" }))) return false;
  return attempt(async () => {
    try {
      await call("DELETE", `${path}/${thing.id}`);
    } catch (error) {
      if (error.status !== 404) throw error;
    }
    store.remove(kind, thing.id);
  });
}
