// Small helpers around the document.

export const element = (id) => document.getElementById(id);

/** A copy of what the `<template>` of that id holds. */
export function stamp(id) {
  return element(id).content.firstElementChild.cloneNode(true);
}

/** Says something to those who cannot see it happen. */
export function announce(text) {
  element("announcer").textContent = text;
}

let onError = () => false;

/** `handler` may take an error over by answering true. */
export function interceptErrors(handler) {
  onError = handler;
}

/** Shows an error until the next success; "" takes it away. */
export function report(error) {
  if (error && onError(error)) return;
  element("problem-text").textContent = error ? error.message : "";
  element("problem").hidden = !error;
}

/** Asks whether to delete something. @returns {Promise<boolean>} */
export function ask(text) {
  const dialog = element("confirm");
  element("confirm-text").textContent = text;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "delete"), { once: true });
  });
}

element("problem-close").addEventListener("click", () => report(""));
