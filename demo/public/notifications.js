// Reminders of deadlines. A backend without them answers 404; then nothing of this is shown.

import { call } from "./api.js";
import { inWords } from "./dates.js";
import { announce, element, report, stamp } from "./page.js";
import { focusTask } from "./tasks/list.js";

const SHOWN_AT_MOST = 50;

const bell = element("bell");
const panel = element("notifications");
const list = element("notification-list");

let notifications = new Map(); // id → notification
let withdrawn = new Set(); // ids never come back, so a late answer about one of these is dropped
let page = Symbol("page"); // another for each person
let unread = 0;
let counting = false;
let miscounted = false; // something has happened since the last count was asked for

export function clear() {
  notifications = new Map();
  withdrawn = new Set();
  page = Symbol("page");
  unread = 0;
  bell.hidden = true;
  panel.hidePopover();
  show();
}

export async function load() {
  const mine = page;
  let response;
  try {
    response = await call("GET", `/notifications?limit=${SHOWN_AT_MOST}`);
  } catch (error) {
    if (error.status === 404) return;
    throw error;
  }
  const fetched = await response.json();
  if (mine !== page) return;
  const known = notifications;
  notifications = new Map();
  fetched.forEach(put);
  // What the socket told of meanwhile may be newer than the list.
  for (const item of known.values()) if (notifications.has(item.id) || item.id > (fetched[0]?.id ?? "")) put(item);
  bell.hidden = false;
  show();
  await count();
}

/** An event of the socket. */
export function apply({ type, data }) {
  if (type === "notification.withdrawn") {
    withdrawn.add(data.id);
    notifications.delete(data.id);
  } else {
    if (type === "notification.created" && !notifications.has(data.id)) announce(data.title);
    put(data);
  }
  bell.hidden = false;
  show();
  count().catch(report);
}

function put(item) {
  const older = notifications.get(item.id)?.read_at && !item.read_at; // an older word on it than what we have
  if (!older && !withdrawn.has(item.id)) notifications.set(item.id, item);
}

/** Asks how many are unread: of those that are not shown here, events do not tell. */
async function count() {
  miscounted = true;
  if (counting) return;
  counting = true;
  try {
    while (miscounted) {
      miscounted = false;
      const mine = page;
      const answer = await (await call("GET", "/notifications/unread-count")).json();
      if (mine !== page) continue;
      unread = answer.count;
      show();
    }
  } finally {
    counting = false;
  }
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
