// What is known of one person: tasks, lists, labels, preferences, counts. REST fills it, and events keep it true.

import { ApiError, call, callAll } from "./api.js";
import { setZone } from "./dates.js";
import { announce, report } from "./page.js";

const PATHS = { task: "/tasks", project: "/projects", label: "/labels" };

/** Things of one kind, each as of its newest version. */
class Things {
  known = new Map(); // id → thing
  #gone = new Map(); // id → the version that it had when it was deleted

  /** @returns {boolean} whether that was news */
  put(thing, { created = false } = {}) {
    // What was restored from the trash is created once more; any other late word on what is gone is dropped.
    if (created) this.#gone.delete(thing.id);
    if (thing.version <= (this.#gone.get(thing.id) ?? 0)) return false;
    if (thing.version <= (this.known.get(thing.id)?.version ?? 0)) return false;
    this.known.set(thing.id, thing);
    return true;
  }

  remove(id) {
    const thing = this.known.get(id);
    if (!thing) return false;
    this.#gone.set(id, thing.version);
    return this.known.delete(id);
  }

  /** What is deleted from here on is not brought back by a list that was asked for before. */
  expectAll() {
    this.#gone.clear();
  }

  putAll(things) {
    this.known = new Map(things.filter(({ id }) => !this.#gone.has(id)).map((thing) => [thing.id, thing]));
  }
}

const kinds = { task: new Things(), project: new Things(), label: new Things() };

let preferences = null;
let counts = null;
let loading = null;
let held = []; // events that arrive while the lists are being fetched
let page = Symbol("page"); // another for each person
let counting = false;
let miscounted = false;
const listeners = [];

/** Calls back whenever something is not as it was. */
export function listen(listener) {
  listeners.push(listener);
}

function changed() {
  for (const listener of listeners) listener();
}

/** Has everything shown anew, as time has passed or another view is wanted. */
export const refresh = changed;

export const get = (kind, id) => kinds[kind].known.get(id);
export const tasks = () => [...kinds.task.known.values()].sort(byPosition);
export const projects = () => [...kinds.project.known.values()].sort(byPosition);
export const labels = () => [...kinds.label.known.values()].sort(byPosition);
export const subtasksOf = (id) => tasks().filter((task) => task.parent_id === id);
export const getPreferences = () => preferences;
export const getCounts = () => counts;
export const isLoading = () => loading !== null;

/** Forgets one person before another is shown. */
export function clear() {
  for (const kind in kinds) kinds[kind] = new Things();
  preferences = counts = loading = null;
  held = [];
  page = Symbol("page");
  changed();
}

/** Fetches everything. */
export async function load() {
  const mine = (loading = Symbol("load"));
  for (const kind in kinds) kinds[kind].expectAll();
  changed();
  try {
    const names = Object.keys(PATHS);
    const [found, ...lists] = await Promise.all([
      call("GET", "/preferences").then((response) => response.json()),
      ...names.map((name) => callAll(PATHS[name])),
    ]);
    if (loading !== mine) return; // a later load, or another person
    const wanted = found.version === 1 ? await beginInZoneOfBrowser(found) : found;
    if (loading !== mine) return;
    names.forEach((name, index) => kinds[name].putAll(lists[index]));
    takePreferences(wanted);
    count();
  } finally {
    if (loading === mine) {
      loading = null;
      // The lists may be from before or after these; each says how things are, so applying one twice does no harm.
      for (const event of held.splice(0)) take(event);
      changed();
    }
  }
}

/** Whoever has never changed their preferences is in the time zone of their browser. */
async function beginInZoneOfBrowser(found) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!zone || zone === found.time_zone) return found;
  try {
    return await patchPreferences(found, { time_zone: zone });
  } catch (error) {
    // Another window was faster, and an event tells of it; or the server does not know this zone.
    if (error instanceof ApiError) return found;
    throw error;
  }
}

async function patchPreferences({ version }, body) {
  return (await call("PATCH", "/preferences", { body, headers: { "If-Match": `"${version}"` } })).json();
}

export async function savePreferences(body) {
  const mine = page;
  const saved = await patchPreferences(preferences, body);
  if (mine !== page) return;
  takePreferences(saved);
  count();
  changed();
}

function takePreferences(found) {
  preferences = found;
  setZone(found.time_zone);
}

/** An event of the socket. */
export function apply(event) {
  if (loading) held.push(event);
  else if (take(event)) changed();
}

function take({ type, data }) {
  const [kind, what] = type.split(".");
  if (kind === "preferences") {
    if (data.version <= (preferences?.version ?? 0)) return false;
    takePreferences(data);
    count();
    return true;
  }
  if (!(kind in kinds)) return false;
  const before = kinds[kind].known.get(data.id);
  const news = what === "deleted" ? kinds[kind].remove(data.id) : kinds[kind].put(data, { created: what === "created" });
  if (!news) return false;
  if (kind === "task") announce(`${inWords(what, before)}: ${(before ?? data).text}`);
  count();
  return true;
}

function inWords(what, before) {
  if (what === "deleted") return "Task deleted";
  return before ? "Task changed" : "Task added";
}

/** Takes over what the server answered. @returns {boolean} whether that was news: an event may have been faster */
export function put(kind, thing) {
  if (!kinds[kind].put(thing)) return false;
  count();
  changed();
  return true;
}

export function remove(kind, id) {
  if (!kinds[kind].remove(id)) return;
  count();
  changed();
}

/** Asks how many there are, once more if something happens meanwhile. */
export async function count() {
  miscounted = true;
  if (counting) return;
  counting = true;
  try {
    while (miscounted) {
      miscounted = false;
      const mine = page;
      const answer = await (await call("GET", "/tasks/counts")).json();
      if (mine !== page) continue;
      counts = answer;
      changed();
    }
  } catch (error) {
    // While the connection is away the banner says so; everything is fetched again when it is back.
    if (error.status !== 0) report(error);
  } finally {
    counting = false;
  }
}

function byPosition(a, b) {
  if (a.position !== b.position) return a.position < b.position ? -1 : 1;
  return a.id < b.id ? -1 : 1;
}
