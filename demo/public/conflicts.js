// What could not be done as it was meant, because somebody else was faster or the server does not accept it. The store has
// done something already that loses neither side; here is what.

import { announce, element, stamp } from "./page.js";
import { store } from "./store.js";
import { FIELDS, inWords } from "./tasks/fields.js";

const place = element("conflicts");
const list = element("conflict-list");
let shown = [];

export function showConflicts() {
  const conflicts = store.conflicts();
  if (conflicts === shown) return;
  for (const conflict of conflicts) if (!shown.some(({ id }) => id === conflict.id)) announce(sentence(conflict));
  const focused = list.contains(document.activeElement);
  shown = conflicts;
  list.replaceChildren(...conflicts.map(makeItem));
  place.hidden = !conflicts.length;
  if (focused) (list.querySelector("button") ?? element("tasks-title")).focus();
}

export function clearConflicts() {
  shown = [];
  list.replaceChildren();
  place.hidden = true;
}

function makeItem(conflict) {
  const { id, mine, theirs, what, copy } = conflict;
  const item = stamp("conflict-template");
  const text = sentence(conflict);
  item.querySelector(".what").textContent = text;
  // Where what was done is on the page, it need not be told.
  const told = what === "changed" || what === "refused" || (what === "deleted" && !copy && !isBack(conflict));
  const fields = told ? Object.keys(mine).filter((field) => FIELDS.has(field)) : [];
  for (const field of fields) {
    const lines = [["yours", mine[field]], ...(what === "changed" ? [["elsewhere", theirs[field]]] : [])];
    for (const [whose, value] of lines) {
      const [term, definition] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = `${FIELDS.get(field)}, ${whose}`;
      definition.textContent = inWords(field, value);
      item.querySelector("dl").append(term, definition);
    }
  }
  const button = item.querySelector("button");
  button.setAttribute("aria-label", `OK: ${text}`);
  button.addEventListener("click", () => store.dismiss(id));
  return item;
}

/** Whether what was deleted elsewhere is a task for which text was typed here: it is brought back from the trash. */
const isBack = ({ kind, mine }) => kind === "task" && ("text" in mine || "description" in mine);

function sentence(conflict) {
  const { what, kind, target, mine, seen, theirs, copy, error } = conflict;
  if (kind === "preferences") return what === "refused" ? `Your settings were not accepted: ${error.message}` : "Your settings were changed elsewhere at the same time. Yours count.";
  const thing = store[`${kind}s`].get(target);
  const name = `“${[thing, seen, theirs, mine].map((one) => one?.text ?? one?.name ?? one?.title).find(Boolean) ?? "What you did"}”`;
  switch (what) {
    case "changed":
      return `${name} was changed elsewhere at the same time. ${copy ? "Its text stays; what you wrote is a task of its own." : "Yours counts."}`;
    case "kept":
      return `${name} was changed elsewhere before you deleted it, so it is still here.`;
    case "deleted":
      if (copy) return `${name} was deleted elsewhere for good. What you wrote is a task of its own.`;
      return isBack(conflict) ? `${name} was deleted elsewhere, and is back, as you have changed it.` : `${name} was deleted elsewhere.`;
    default:
      return `${name} was not accepted: ${error.message}`;
  }
}
