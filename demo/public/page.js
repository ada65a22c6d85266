// Small helpers around the document.

export const element = (id) => document.getElementById(id);

/** A copy of what the `<template>` of that id holds. */
export function stamp(id) {
  return element(id).content.firstElementChild.cloneNode(true);
}

const ANNOUNCED_FOR = 10_000;

/** Says something to those who cannot see it happen, after what is being said already. */
export function announce(text) {
  const line = document.createElement("p");
  line.textContent = text;
  element("announcer").append(line);
  setTimeout(() => line.remove(), ANNOUNCED_FOR);
}

/** Shows an error until the next success; "" takes it away. */
export function report(error) {
  const problem = element("problem");
  element("problem-text").textContent = error ? error.message : "";
  if (problem.matches(":popover-open")) problem.hidePopover();
  if (error) problem.showPopover(); // above a dialog that may be open
}

/** Does what needs the server at once; a failure is shown. */
export async function attempt(action) {
  try {
    await action();
    report("");
  } catch (error) {
    report(error);
  }
}

/** Asks before what cannot be taken back. @returns {Promise<boolean>} */
export function ask({ title, text, action }) {
  const dialog = element("confirm");
  element("confirm-title").textContent = title;
  element("confirm-text").textContent = text;
  element("confirm-action").textContent = action;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

const UNDO_FOR = 20_000;
let undo = null;
let undoTimer = 0;

/** Says what was done, with a button, and Ctrl+Z, that takes it back. */
export function offerUndo(text, action) {
  undo = action;
  element("undo-text").textContent = text;
  element("undo").hidden = false;
  announce("Undo with Control Z.");
  clearTimeout(undoTimer);
  undoTimer = setTimeout(withdrawUndo, UNDO_FOR);
}

function withdrawUndo() {
  const notice = element("undo");
  // Not from under somebody's hands.
  if (undo && notice.matches(":hover, :focus-within")) {
    undoTimer = setTimeout(withdrawUndo, UNDO_FOR);
    return;
  }
  hideUndo();
}

export function hideUndo() {
  clearTimeout(undoTimer);
  undo = null;
  element("undo").hidden = true;
  element("undo-text").textContent = "";
}

function takeBack() {
  const action = undo;
  const hadFocus = element("undo").contains(document.activeElement);
  hideUndo();
  if (hadFocus) element("tasks-title").focus();
  action?.();
}

element("undo-button").addEventListener("click", takeBack);
element("undo-close").addEventListener("click", hideUndo);
element("problem-close").addEventListener("click", () => report(""));
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("textarea, select, input:not([type=checkbox])");
  if (!undo || typing || event.key !== "z" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  takeBack();
});
