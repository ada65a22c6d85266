// Reminders of deadlines. A backend without them answers 404; then nothing of this is shown.

import { call } from "./api.js";
import { inWords } from "./dates.js";
import { announce, element, report, stamp } from "./page.js";
import { focusTask } from "./tasks.js";

const SHOWN_AT_MOST = 50;

const bell = element("bell");
const panel = element("notifications");
const list = element("notification-list");

let notifications = new Map(); // id → notification
let unread = 0;

export function clear() {
  notifications = new Map();
  unread = 0;
  bell.hidden = true;
  panel.hidePopover();
  show();
}

export async function load() {
  let response;
  try {
    response = await call("GET", `/notifications?limit=${SHOWN_AT_MOST}`);
  } catch (error) {
    if (error.status === 404) return;
    throw error;
  }
  notifications = new Map((await response.json()).map((item) => [item.id, item]));
  unread = (await (await call("GET", "/notifications/unread-count")).json()).count;
  bell.hidden = false;
  show();
}

/** An event of the socket. */
export function apply({ type, data }) {
  const known = notifications.get(data.id);
  if (known?.read_at && !data.read_at) return; // an older word on it than what we have
  if (type === "notification.created" && !known) {
    if (!data.read_at) unread += 1;
    announce(data.title);
  }
  if (type === "notification.read" && !known?.read_at) unread = Math.max(0, unread - 1);
  notifications.set(data.id, data);
  bell.hidden = false;
  show();
}

/** A deleted task takes its notifications along. */
export function forgetTask(taskId) {
  for (const [id, item] of notifications) {
    if (item.task_id !== taskId) continue;
    if (!item.read_at) unread = Math.max(0, unread - 1);
    notifications.delete(id);
  }
  show();
}

function show() {
  const newest = [...notifications.values()].sort((a, b) => (a.id < b.id ? 1 : -1)).slice(0, SHOWN_AT_MOST);
  list.replaceChildren(...newest.map(makeItem));
  element("no-notifications").hidden = newest.length > 0;
  element("read-all").hidden = unread === 0;
  const badge = element("unread");
  badge.textContent = String(unread);
  badge.classList.toggle("some", unread > 0);
}

function makeItem(notification) {
  const item = stamp("notification-template");
  item.classList.toggle("unread", !notification.read_at);
  item.querySelector(".title").textContent = notification.title;
  item.querySelector(".message").textContent = notification.message;
  const time = item.querySelector("time");
  time.dateTime = notification.created_at;
  time.textContent = inWords(notification.created_at);
  const button = item.querySelector("button");
  button.hidden = Boolean(notification.read_at);
  button.setAttribute("aria-label", `Mark read: ${notification.title}`);
  button.addEventListener("click", () => markRead(notification));
  return item;
}

async function markRead({ id, task_id: taskId }) {
  try {
    const response = await call("POST", `/notifications/${id}/read`);
    apply({ type: "notification.read", data: await response.json() });
    panel.hidePopover();
    focusTask(taskId);
  } catch (error) {
    report(error);
  }
}

element("read-all").addEventListener("click", async () => {
  try {
    await call("POST", "/notifications/read-all");
    await load();
  } catch (error) {
    report(error);
  }
});
