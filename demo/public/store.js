// What is known of whoever is signed in: the store of the client, which keeps it true, and keeps it in this browser.

import { createTodolist, openStore } from "/client/index.js";

import { token } from "./account.js";
import { config } from "./config.js";

/** Both are null while nobody is signed in. */
export let todolist = null;
export let store = null;

/** @param {() => void} changed called once for all that changes in one go */
export function open({ id }, changed) {
  todolist = createTodolist({ url: config.api, token });
  const mine = (store = openStore(todolist, { user: id }));
  let waiting = false;
  const tell = () => {
    if (waiting) return;
    waiting = true;
    queueMicrotask(() => {
      waiting = false;
      if (mine === store) changed();
    });
  };
  mine.subscribe(tell);
  tell();
}

/** What is kept of the person stays in this browser, for when they are back. */
export function close() {
  store?.close();
  store = todolist = null;
}

/** Drops it, and what was not sent: for signing out. */
export async function forget() {
  const mine = store;
  store = todolist = null;
  await mine?.forget();
}
