// Makes, changes and deletes a list or a label.

import { ask, stamp } from "../page.js";
import { store } from "../store.js";
import { difference } from "../tasks/fields.js";

const WORDS = {
  project: { name: "list", longest: 100, after: "Its tasks stay, in no list." },
  label: { name: "label", longest: 60, after: "It is taken off its tasks." },
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

/** @param {"project" | "label"} kind @param {object | null} thing null for a new one @returns what was made, or null */
export function editThing(kind, thing) {
  const { name, longest } = WORDS[kind];
  const things = store[`${kind}s`];
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
  const read = () => ({ name: elements.name.value, color: elements.color.value });
  const before = read();
  let made = null;

  dialog.querySelector(".cancel").addEventListener("click", () => dialog.close());
  erase.addEventListener("click", async () => {
    if (await eraseThing(kind, thing)) dialog.close();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const changes = difference(before, read());
    if (!thing) made = things.create(read());
    else if (changes) things.change(thing.id, changes);
    dialog.close();
  });
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(made);
    });
  });
}

async function eraseThing(kind, { id, name }) {
  const { name: word, after } = WORDS[kind];
  const sure = await ask({ title: `Delete this ${word}?`, text: `${name}. ${after}`, action: "Delete" });
  if (sure) store[`${kind}s`].remove(id);
  return sure;
}
