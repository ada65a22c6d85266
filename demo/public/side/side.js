// The side: what is due, with how many, and one's own lists and labels.

import { announce, element, stamp } from "../page.js";
import { store } from "../store.js";
import { currentView } from "../tasks/views.js";
import { editThing } from "./thing.js";

const side = element("side");
const toggle = element("side-toggle");

/** @param {ReturnType<typeof import("../tasks/views.js").count>} counts */
export function showSide(counts) {
  const key = currentView().key;
  for (const link of side.querySelectorAll("a[data-count]")) {
    fillLink(link, { count: counts[link.dataset.count], current: link.hash === `#${key}` });
  }
  fillLink(element("trash-link"), { current: key === "trash" });
  const make = (kind, by) => (thing) => {
    const item = stamp("thing-template");
    const link = item.querySelector("a");
    link.href = `#${kind}=${thing.id}`;
    if (thing.color) item.querySelector(".color").style.setProperty("--color", thing.color);
    item.querySelector(".name").textContent = thing.archived ? `${thing.name} (archived)` : thing.name;
    fillLink(link, { count: by.get(thing.id), current: link.hash === `#${key}` });
    return item;
  };
  refill(element("projects"), store.projects.all().map(make("project", counts.byProject)));
  refill(element("labels"), store.labels.all().map(make("label", counts.byLabel)));
}

/** New links in the place of the old ones; the one that had the focus has it again. */
function refill(list, items) {
  if (items.length === list.children.length && items.every((item, index) => item.isEqualNode(list.children[index]))) return;
  const focused = list.contains(document.activeElement) ? document.activeElement.hash : null;
  list.replaceChildren(...items);
  list.hidden = !items.length;
  if (focused) [...list.querySelectorAll("a")].find((link) => link.hash === focused)?.focus();
}

function fillLink(link, { count = 0, current }) {
  if (current) link.setAttribute("aria-current", "page");
  else link.removeAttribute("aria-current");
  const number = link.querySelector(".number");
  if (number) number.textContent = count ? String(count) : "";
}

/** On a phone the side lies above the page, and goes when something was chosen. */
export function openSide(open) {
  side.classList.toggle("open", open);
  toggle.setAttribute("aria-expanded", String(open));
}

toggle.addEventListener("click", () => openSide(!side.classList.contains("open")));
side.addEventListener("click", ({ target }) => target.closest("a") && openSide(false));
document.addEventListener("keydown", ({ key }) => {
  if (key !== "Escape" || !side.classList.contains("open")) return;
  openSide(false);
  toggle.focus();
});
for (const kind of ["project", "label"]) {
  element(`new-${kind}`).addEventListener("click", async () => {
    const made = await editThing(kind, null);
    if (!made) return;
    announce(`Added: ${made.name}`);
    location.hash = `${kind}=${made.id}`;
    openSide(false);
  });
}
element("edit-thing").addEventListener("click", () => editThing(...currentView().thing));
