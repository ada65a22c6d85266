// One menu for all: it opens at the button that asks for it.

import { element } from "../page.js";

const menu = element("menu");
let opener = null;

/** @param {HTMLElement} button @param {string} label @param {[string, () => void, string?][]} entries */
export function openMenu(button, label, entries) {
  opener = button;
  menu.setAttribute("aria-label", label);
  menu.replaceChildren(
    ...entries.map(([name, action, keys]) => {
      const entry = document.createElement("button");
      entry.type = "button";
      entry.textContent = name;
      if (keys) {
        const hint = document.createElement("kbd");
        hint.textContent = keys;
        hint.setAttribute("aria-hidden", "true");
        entry.append(hint);
      }
      entry.addEventListener("click", () => {
        menu.hidePopover();
        button.focus(); // so that what follows finds it there, and moves it
        action();
      });
      return entry;
    }),
  );
  menu.showPopover();
  place();
  menu.firstElementChild.focus();
}

function place() {
  const { right, bottom, top } = opener.getBoundingClientRect();
  const { width, height } = menu.getBoundingClientRect();
  menu.style.left = `${Math.max(8, right - width)}px`;
  menu.style.top = `${bottom + height + 8 > innerHeight ? Math.max(8, top - height - 4) : bottom + 4}px`;
}

menu.addEventListener("keydown", (event) => {
  const entries = [...menu.children];
  const index = entries.indexOf(document.activeElement);
  const next = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: -1 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  entries.at(next % entries.length).focus();
});

addEventListener("scroll", () => menu.matches(":popover-open") && place(), { passive: true });
menu.addEventListener("toggle", ({ newState }) => {
  if (newState === "closed" && document.activeElement === document.body) opener?.focus();
});
