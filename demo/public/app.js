// Puts the page together: who is signed in, what is shown, and how the connection is.

import * as account from "./account.js";
import { clearConflicts, showConflicts } from "./conflicts.js";
import { setZone } from "./dates.js";
import { clearNotifications, showNotifications } from "./notifications.js";
import { announce, ask, element, hideUndo, report } from "./page.js";
import "./side/settings.js";
import { openSide, showSide } from "./side/side.js";
import { clearTrash, showTrash } from "./side/trash.js";
import { close, forget, open, store, todolist } from "./store.js";
import { clearAdd, showAdd } from "./tasks/add.js";
import { clearTasks, showTasks } from "./tasks/list.js";
import { announceNews, clearNews } from "./tasks/news.js";
import { count, currentView } from "./tasks/views.js";

const ENDED = "Your session has ended. Please sign in again.";
const REFUSED = "The server did not accept your sign-in. Please sign in again.";

const form = element("sign-in-form");
const fields = form.elements;

let person = null; // whose page this is, or was until the session ended
let asking = null; // the newest question who is signed in
let connection = ""; // as it was said last
let zoned = false; // whether their time zone was looked at

/** Shows the page of whoever was here last at once, and asks meanwhile whether they still are. */
async function boot() {
  const mine = (asking = Symbol("who"));
  follow();
  let user;
  try {
    user = await account.currentUser();
  } catch {
    if (!store && mine === asking) showSignIn("The sign-in server cannot be reached. Please try again in a moment.");
    return;
  }
  if (mine !== asking) return;
  if (user) enter(user);
  else if (person) leave(ENDED);
  else showSignIn();
}

/** Does what this browser knows, which another tab may have changed. */
function follow() {
  const known = account.remembered();
  if (known) enter(known);
  else if (store) leave(ENDED);
}

function enter(user) {
  account.remember(user);
  element("who").textContent = user.name || user.email;
  if (store && user.id === person.id) return;
  closeAll();
  close();
  if (user.id !== person?.id) clear();
  person = user;
  connection = "";
  zoned = false;
  form.reset();
  showOnly("tasks");
  element("tasks-title").focus();
  open(user, show);
}

/** Forgets one person before another is shown. */
function clear() {
  for (const one of [clearTasks, clearNews, clearNotifications, clearConflicts, clearAdd, clearTrash, hideUndo]) one();
}

/** What was not sent stays in this browser, for when they sign in again. */
function leave(notice) {
  asking = null;
  close();
  account.remember(null);
  closeAll();
  hideUndo();
  showSignIn(notice);
}

/** What is open above the page belongs to whoever was there. */
function closeAll() {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  for (const popover of document.querySelectorAll(":popover-open")) popover.hidePopover();
}

function showOnly(id) {
  for (const part of ["loading", "sign-in", "tasks"]) element(part).hidden = part !== id;
  for (const part of ["account", "side", "side-toggle"]) element(part).hidden = id !== "tasks";
  openSide(false);
  if (id !== "tasks") element("banner").hidden = true;
}

const WAITING = {
  expired: "Signing in anew…",
  silent: "The server does not answer, reconnecting…",
  too_many: "Too many connections of yours elsewhere, waiting…",
  try_again: "The server has too much to do, reconnecting…",
};

/** Says how the connection is. @returns whether the page goes on */
function showConnection() {
  const { state, reason, pending, loaded, leading } = store.status();
  if (state === "refused") leave(REFUSED);
  if (state === "signed_out") lost();
  if (state === "closed") forgotten();
  if (!store || state === "closed") return false;
  // Each try to come back is a new connection; it is lost until one of them is live.
  const now = state === "connecting" && connection === "waiting" ? "waiting" : state;
  const text = { connecting: "Connecting…", live: pending ? "Saving…" : "Live", waiting: "Reconnecting…" }[now] ?? "";
  element("live").dataset.state = now;
  element("live-text").textContent = text;
  element("banner").hidden = now !== "waiting";
  if (state === "waiting") element("banner-text").textContent = WAITING[reason] ?? "Connection lost, reconnecting…";
  element("banner-pending").textContent = pending ? `${changes(pending)} kept here until then.` : "";
  if (now !== connection && now === "waiting") announce(element("banner-text").textContent);
  if (now !== connection && now === "live") announce("Connected.");
  connection = now;
  // Before that it is not known what would be lost.
  element("sign-out").disabled = !loaded && !leading;
  return true;
}

const changes = (number) => (number === 1 ? "1 change is" : `${number} changes are`);

/** Another tab has signed out, and dropped what this one showed. */
function forgotten() {
  close();
  if (account.remembered()) follow();
  else leave(ENDED);
}

/** No token is to be had: the session ended, or the cookie is somebody else's by now. */
async function lost() {
  const { id } = person;
  leave(ENDED);
  const mine = (asking = Symbol("who"));
  const user = await account.currentUser().catch(() => null);
  if (mine === asking && user && user.id !== id) enter(user);
}

/** Whoever has never changed their preferences is in the time zone of their browser. */
function followZone() {
  const preferences = store.preferences.current();
  setZone(preferences?.time_zone);
  element("settings-open").disabled = !preferences;
  const { state, leading } = store.status();
  if (!preferences || zoned || state !== "live" || !leading) return;
  zoned = true;
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  if (preferences.version > 1 || timeZone === preferences.time_zone) return;
  // Refused where they chose one elsewhere at the same time, or where the server does not know this one.
  todolist.preferences.change({ time_zone: timeZone }, { version: 1 }).catch(() => {});
}

/** Brings all of the page in line with what is known. */
function show() {
  if (!showConnection()) return;
  followZone();
  const { key, title, thing } = currentView();
  element("tasks-title").textContent = title;
  const edit = element("edit-thing");
  edit.hidden = !thing;
  edit.textContent = thing?.[0] === "label" ? "Edit label" : "Edit list";
  element("in-view").hidden = key === "trash";
  element("trash").hidden = key !== "trash";
  const found = count();
  element("count").textContent = store.status().loaded && key === "all" ? `${found.open} to do, ${found.completed} done` : "";
  showSide(found);
  showAdd();
  showTasks();
  if (key === "trash") showTrash();
  showNotifications();
  showConflicts();
  announceNews();
}

function showSignIn(notice = "") {
  showOnly("sign-in");
  setMode("in");
  element("notice").textContent = notice;
  element("notice").hidden = !notice;
  fields.email.value ||= person?.email ?? "";
  (fields.email.value ? fields.password : fields.email).focus();
}

/** @param {"in" | "up"} mode */
function setMode(mode) {
  const up = mode === "up";
  form.dataset.mode = mode;
  element("sign-in-title").textContent = up ? "Create an account" : "Sign in";
  element("sign-in-button").textContent = up ? "Create account" : "Sign in";
  element("switch-text").textContent = up ? "Have an account?" : "No account yet?";
  element("switch").textContent = up ? "Sign in" : "Create one";
  element("name-field").hidden = !up;
  fields.name.required = up;
  fields.password.autocomplete = up ? "new-password" : "current-password";
  element("password-hint").hidden = !up;
  showFormError("");
}

function showFormError(text) {
  element("sign-in-error").textContent = text;
  element("sign-in-error").hidden = !text;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  showFormError("");
  asking = null; // an answer that comes now is about before
  element("sign-in-button").disabled = true;
  try {
    const typed = Object.fromEntries(new FormData(form));
    enter(await (form.dataset.mode === "up" ? account.signUp(typed) : account.signIn(typed)));
  } catch (error) {
    const known = error instanceof account.Rejected;
    showFormError(known ? error.message : "The sign-in server cannot be reached. Please try again in a moment.");
    fields.password.focus();
  } finally {
    element("sign-in-button").disabled = false;
  }
});

element("switch").addEventListener("click", () => {
  setMode(form.dataset.mode === "up" ? "in" : "up");
  (form.dataset.mode === "up" ? fields.name : fields.email).focus();
});

element("sign-out").addEventListener("click", async () => {
  const { pending } = store.status();
  const text = `${changes(pending)} not at the server yet, and would be lost.`;
  if (pending && !(await ask({ title: "Sign out all the same?", text, action: "Sign out" }))) return;
  try {
    await account.signOut();
  } catch {
    return report(new Error("The sign-in server cannot be reached. You are still signed in."));
  }
  person = null;
  account.remember(null);
  clear();
  history.replaceState(null, "", location.pathname);
  await forget().catch(report);
  leave("");
});

addEventListener("hashchange", () => {
  openSide(false);
  hideUndo();
  if (!store) return;
  clearTrash();
  show();
  element("tasks-title").focus();
  scrollTo(0, 0);
});

account.listen(follow);

// As time passes, what was due today is overdue.
setInterval(() => store && show(), 30_000);

// Without it the page works all the same, as long as the connection is there when it is opened.
navigator.serviceWorker?.register("/offline.js").catch(() => {});

boot();
