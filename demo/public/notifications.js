// Reminders: the bell counts those that are unread.

import { inWords } from "./dates.js";
import { announce, element, stamp } from "./page.js";
import { store } from "./store.js";
import { focusTask } from "./tasks/list.js";

const SHOWN_AT_MOST = 50;

const bell = element("bell");
const panel = element("notifications");
const list = element("notification-list");

let shown = null;
let known = null; // ids

export function clearNotifications() {
  shown = known = null;
  bell.hidden = true;
  list.replaceChildren();
}

export function showNotifications() {
  const { loaded } = store.status();
  const all = store.notifications.all();
  bell.hidden = !loaded;
  if (!loaded || all === shown) return;
  shown = all;
  for (const { id, title } of all) if (known && !known.has(id)) announce(title);
  known = new Set(all.map(({ id }) => id));
  const unread = all.filter((one) => !one.read_at).length;
  const focused = panel.contains(document.activeElement);
  list.replaceChildren(...all.slice(0, SHOWN_AT_MOST).map(makeItem));
  element("no-notifications").hidden = all.length > 0;
  element("read-all").hidden = unread === 0;
  const badge = element("unread");
  badge.textContent = String(unread);
  badge.classList.toggle("some", unread > 0);
  if (focused && !document.activeElement.checkVisibility()) keepFocus();
}

function keepFocus() {
  const buttons = [...panel.querySelectorAll("button")].filter((button) => button.checkVisibility());
  (buttons.at(-1) ?? bell).focus();
}

function makeItem({ id, task_id: taskId, title, message, created_at: createdAt, read_at: readAt }) {
  const item = stamp("notification-template");
  item.classList.toggle("unread", !readAt);
  item.querySelector(".title").textContent = title;
  item.querySelector(".message").textContent = message;
  const time = item.querySelector("time");
  time.dateTime = createdAt;
  time.textContent = inWords(createdAt);
  const button = item.querySelector("button");
  button.hidden = Boolean(readAt);
  button.setAttribute("aria-label", `Mark read: ${title}`);
  button.addEventListener("click", () => {
    store.notifications.read(id);
    panel.hidePopover();
    focusTask(taskId);
  });
  return item;
}

element("read-all").addEventListener("click", () => store.notifications.readAll());
