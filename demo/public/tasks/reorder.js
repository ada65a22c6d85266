// Puts tasks into an order of one's own: by the keyboard, by the menu, or dragged by their handle.

import { store } from "../store.js";
import { move } from "./changes.js";

// This near to an edge of the window, the page scrolls by so much with each move.
const EDGE = 80;
const STEP = 12;

/** Moves a task past its neighbour in sight. @param {-1 | 1} step */
export function moveBy(item, step) {
  let other = item;
  do other = step < 0 ? other.previousElementSibling : other.nextElementSibling;
  while (other && !areSiblings(item, other));
  if (other) return move(taskOf(item), step < 0 ? { before: other.dataset.id } : { after: other.dataset.id });
}

/** One order holds all tasks of one parent, or of none. */
function areSiblings(item, other) {
  return !other.hidden && taskOf(item)?.parent_id === taskOf(other)?.parent_id;
}

const taskOf = (item) => store.tasks.get(item.dataset.id);

/** Follows the pointer, mouse or finger, until it lets go. */
export function startDrag(event, item) {
  if (event.button !== 0) return;
  event.preventDefault();
  const handle = event.currentTarget;
  let target = null; // {item, after}

  const mark = (next) => {
    target?.item.classList.remove("drop-before", "drop-after");
    target = next;
    target?.item.classList.add(target.after ? "drop-after" : "drop-before");
  };
  const follow = ({ clientY }) => {
    if (clientY < EDGE) scrollBy(0, -STEP);
    if (clientY > innerHeight - EDGE) scrollBy(0, STEP);
    const others = [...item.parentElement.children].filter((other) => other !== item && areSiblings(item, other));
    const below = others.find((other) => clientY < middleOf(other));
    if (below) mark({ item: below, after: false });
    else if (others.length) mark({ item: others.at(-1), after: true });
  };
  const end = ({ type }) => {
    handle.removeEventListener("pointermove", follow);
    for (const name of ["pointerup", "pointercancel"]) handle.removeEventListener(name, end);
    item.classList.remove("dragged");
    const found = type === "pointerup" && target?.item.isConnected ? target : null;
    mark(null);
    if (found && store.tasks.get(item.dataset.id)) drop(item, found);
  };
  handle.setPointerCapture(event.pointerId);
  handle.addEventListener("pointermove", follow);
  for (const name of ["pointerup", "pointercancel"]) handle.addEventListener(name, end);
  item.classList.add("dragged");
}

function drop(item, { item: other, after }) {
  const stays = after ? other.nextElementSibling === item : other.previousElementSibling === item;
  if (!stays) move(taskOf(item), { [after ? "after" : "before"]: other.dataset.id });
}

function middleOf(item) {
  const { top, height } = item.getBoundingClientRect();
  return top + height / 2;
}
