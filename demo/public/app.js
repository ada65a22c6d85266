// Puts the page together: who is signed in, what is shown, and what the socket says.

import { Refused } from "./api.js";
import { Live } from "./live.js";
import * as notifications from "./notifications.js";
import { announce, element, hideUndo, interceptErrors, report } from "./page.js";
import * as session from "./session.js";
import "./side/settings.js";
import { openSide, showSide } from "./side/side.js";
import { clearTrash, showTrash } from "./side/trash.js";
import * as store from "./store.js";
import { clearAdd } from "./tasks/add.js";
import * as tasks from "./tasks/list.js";
import { currentView } from "./tasks/views.js";

const ENDED = "Your session has ended. Please sign in again.";
const REFUSED = "The server did not accept your sign-in. Please sign in again.";
// Where the socket does not come up, the list is fetched without it.
const LOAD_WITHOUT_SOCKET = 1500;

const form = element("sign-in-form");
const fields = form.elements;

let live = null;
let person = null; // whose page this is, or was until the session ended
let loadTimer = 0;

async function boot() {
  try {
    const user = await session.currentUser();
    if (user && live && user.id === person?.id) return;
    if (user) enter(user);
    else if (person) leave(ENDED);
    else showSignIn();
  } catch {
    if (!person) showSignIn("The sign-in server cannot be reached. Please reload the page in a moment.");
  }
}

function enter(user) {
  live?.stop();
  if (person?.id !== user.id) clear();
  person = user;
  element("who").textContent = user.name || user.email;
  form.reset();
  report("");
  showOnly("tasks");
  element("tasks-title").focus();
  showState("connecting");
  live = new Live({ onState, onReload: reload, onEvent, onRefused: () => leave(REFUSED), onSignedOut: lost });
  live.start();
  loadTimer = setTimeout(reload, LOAD_WITHOUT_SOCKET);
}

/** Forgets one person before another is shown. */
function clear() {
  store.clear();
  tasks.clear();
  notifications.clear();
  clearAdd();
  clearTrash();
  hideUndo();
}

function leave(notice) {
  clearTimeout(loadTimer);
  live?.stop();
  live = null;
  session.forget();
  report("");
  hideUndo();
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  showSignIn(notice);
}

/** No token is to be had: the session ended, or the cookie is somebody else's by now. */
function lost() {
  leave(ENDED);
  boot();
}

function onState(state) {
  showState(state);
  announce(state === "live" ? "Connected." : "Connection lost, reconnecting.");
}

function onEvent(event) {
  if (event.type.startsWith("notification.")) return notifications.apply(event);
  store.apply(event);
  if (event.type.startsWith("task.") && currentView().key === "trash") showTrash();
}

async function reload() {
  clearTimeout(loadTimer);
  if (currentView().key === "trash") showTrash();
  try {
    await Promise.all([store.load(), notifications.load()]);
  } catch (error) {
    // While the connection is away the banner says so; the list is fetched again when it is back.
    if (error.status !== 0) report(error);
  }
}

interceptErrors((error) => {
  if (!live) return true; // of a page already left
  if (error instanceof Refused) leave(REFUSED);
  else if (error instanceof session.SignedOut) lost();
  else return false;
  return true;
});

function showOnly(id) {
  for (const part of ["loading", "sign-in", "tasks"]) element(part).hidden = part !== id;
  for (const part of ["account", "side", "side-toggle"]) element(part).hidden = id !== "tasks";
  openSide(false);
  if (id !== "tasks") element("banner").hidden = true;
}

const LIVE_TEXT = { connecting: "Connecting…", live: "Live", reconnecting: "Reconnecting…" };

function showState(state) {
  element("live").dataset.state = state;
  element("live-text").textContent = LIVE_TEXT[state];
  element("banner").hidden = state !== "reconnecting";
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
  element("sign-in-button").disabled = true;
  try {
    const typed = Object.fromEntries(new FormData(form));
    enter(await (form.dataset.mode === "up" ? session.signUp(typed) : session.signIn(typed)));
  } catch (error) {
    const known = error instanceof session.Rejected;
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
  try {
    await session.signOut();
  } catch {
    return report(new Error("The sign-in server cannot be reached. You are still signed in."));
  }
  person = null;
  clear();
  history.replaceState(null, "", location.pathname);
  leave("");
});

function showView() {
  const { key, title, thing } = currentView();
  element("tasks-title").textContent = title;
  const edit = element("edit-thing");
  edit.hidden = !thing;
  edit.textContent = thing?.[0] === "label" ? "Edit label" : "Edit list";
  element("in-view").hidden = key === "trash";
  element("trash").hidden = key !== "trash";
  const counts = store.getCounts();
  element("count").textContent = counts && key === "all" ? `${counts.open} to do, ${counts.completed} done` : "";
  showSide();
  tasks.show();
}

store.listen(showView);
addEventListener("hashchange", () => {
  openSide(false);
  hideUndo();
  store.refresh();
  if (!live) return;
  if (currentView().key === "trash") showTrash();
  element("tasks-title").focus();
  scrollTo(0, 0);
});

// A new token also keeps the open socket alive.
session.listen({ token: (token) => live?.renew(token), lost, changed: boot });

// As time passes, what was due today is overdue.
setInterval(() => {
  store.refresh();
  if (live) store.count();
}, 30_000);

boot();
