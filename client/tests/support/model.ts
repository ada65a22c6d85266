// What a person did on all of their devices, and what has to be true of it in the end.

import assert from "node:assert/strict";

import type { Conflict, Label, LiveEvent, Position, Project, Store, Task, Todolist } from "todolist-client";

/** Random numbers that are the same for the same seed. */
export class Chance {
  constructor(private state: number) {}

  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  below(number: number): number {
    return Math.floor(this.next() * number);
  }

  one<T>(of: readonly T[]): T | undefined {
    return of[this.below(of.length)];
  }
}

type Typed = "text" | "description" | "name";

export class Ledger {
  #count = 0;
  readonly #typed: string[] = [];
  readonly #journal: string[] = [];
  readonly #replaced = new Set<string>(); // what somebody saw, and put something else in its place
  readonly #created = new Set<string>();

  /** A text that was never typed before. */
  type(where: string): string {
    const text = `${where} ${++this.#count}`;
    this.#typed.push(text);
    return text;
  }

  note(...what: unknown[]): void {
    this.#journal.push(what.map((one) => (typeof one === "string" ? one : JSON.stringify(one))).join(" "));
  }

  replaces(thing: object, ...fields: Typed[]): void {
    for (const field of fields) this.#replaced.add(String((thing as Record<string, unknown>)[field]));
  }

  created(id: string): void {
    this.#created.add(id);
  }

  get size(): number {
    return this.#typed.length;
  }

  /** Nothing that was typed is lost, nothing is there twice. */
  check(there: { tasks: Task[]; trash: Task[]; projects: Project[]; labels: Label[] }, conflicts: readonly Conflict[], events: LiveEvent[]): void {
    const { tasks, trash, projects, labels } = there;
    const all = [...tasks, ...trash];
    const found = new Set<unknown>(all.flatMap(({ text, description }) => [text, description]));
    for (const { name } of [...projects, ...labels]) found.add(name);
    for (const { mine, theirs } of conflicts) for (const value of [...Object.values(mine), ...Object.values(theirs ?? {})]) found.add(value);
    const lost = this.#typed.filter((text) => !found.has(text) && !this.#replaced.has(text));
    // What was done with it, in case somebody wants to know how.
    const about = events.filter(({ data }) => lost.some((text) => Object.values(data).includes(text))).map(({ data }) => (data as unknown as Task).id);
    const story = this.#journal.filter((line) => [...lost, ...about].some((one) => line.includes(`"${one}"`) || line.includes(` ${one} `)));
    assert.deepEqual(lost, [], `typed, and lost:\n${story.join("\n")}\n`);

    const copies = new Set(conflicts.map(({ copy }) => copy));
    // The server itself makes the next one of a task that repeats, and copies of its subtasks: where its parent is deleted, such a
    // copy may be brought back without one.
    const born = events.filter(({ type }) => type === "task.created").map(({ data }) => data as unknown as Task);
    const next = new Set(born.filter(({ previous_id }) => previous_id !== null).map(({ id }) => id));
    const others = born.filter(({ id }) => !this.#created.has(id));
    const fromServer = new Set(others.filter(({ previous_id, parent_id }) => previous_id !== null || next.has(parent_id ?? "")).map(({ id }) => id));
    const made = all.filter(({ id }) => !fromServer.has(id));
    const strange = made.filter(({ id }) => !this.#created.has(id) && !copies.has(id));
    assert.deepEqual(strange.map(({ id, text }) => [id, text]), [], "created by nobody");
    const originals = made.filter(({ id }) => !copies.has(id)).map(({ text }) => text);
    assert.deepEqual(originals.filter((text, index) => originals.indexOf(text) !== index), [], "there twice");
  }
}

/** Every event from the first one on. */
export async function history(todolist: Todolist, { epoch }: Position): Promise<LiveEvent[]> {
  const events: LiveEvent[] = [];
  for (let page: LiveEvent[]; ; events.push(...page)) {
    page = await todolist.events({ seq: events.at(-1)?.seq ?? 0, epoch });
    if (page.length === 0) return events;
  }
}

/** Does something, as a person does with what is shown. */
export function act(store: Store, where: string, chance: Chance, ledger: Ledger): void {
  const task = chance.one(store.tasks.all());
  const project = chance.one(store.projects.all());
  const label = chance.one(store.labels.all());
  const kind = chance.below(21);
  const change = (id: string, patch: Parameters<Store["tasks"]["change"]>[1]): void => {
    ledger.note(where, "changes", id, patch, "of", task);
    store.tasks.change(id, patch);
  };
  if (!task || kind < 4) {
    const parents = store.tasks.all().filter(({ parent_id, project_id }) => parent_id === null && project_id === null);
    const parent = chance.below(4) === 0 ? chance.one(parents) : undefined;
    const made = store.tasks.create({
      text: ledger.type(where),
      ...(chance.below(3) === 0 && { description: ledger.type(where) }),
      ...(parent ? { parent_id: parent.id } : project && chance.below(2) === 0 && { project_id: project.id }),
      ...(label && chance.below(2) === 0 && { label_ids: [label.id] }),
    });
    ledger.created(made.id);
    ledger.note(where, "creates", made);
  } else if (kind < 7) {
    ledger.replaces(task, "text");
    change(task.id, { text: ledger.type(where) });
  } else if (kind < 9) {
    ledger.replaces(task, "description");
    change(task.id, { description: ledger.type(where), priority: chance.below(5) });
  } else if (kind < 11) {
    change(task.id, chance.one([{ completed: !task.completed }, { priority: chance.below(5) }, { due_on: "2030-01-01" }, { deadline: "2030-01-01T12:00:00Z" }, { project_id: project?.id ?? null }])!);
  } else if (kind < 12 && label) {
    const has = task.label_ids.includes(label.id);
    change(task.id, { label_ids: has ? task.label_ids.filter((id) => id !== label.id) : [...task.label_ids, label.id] });
  } else if (kind < 14) {
    store.tasks.move(task.id, chance.below(2) === 0 ? { to: "bottom" } : { after: chance.one(store.tasks.all().filter(({ parent_id }) => parent_id === task.parent_id))!.id });
  } else if (kind < 15) {
    ledger.note(where, "removes", task);
    store.tasks.remove(task.id);
    if (chance.below(3) === 0) store.tasks.restore(task);
  } else if (kind < 16) {
    store.projects.create({ name: ledger.type(where) });
  } else if (kind < 17 && project) {
    ledger.replaces(project, "name");
    const patch = { name: ledger.type(where), archived: chance.below(2) === 0 };
    ledger.note(where, "renames", project, patch);
    store.projects.change(project.id, patch);
  } else if (kind < 18) {
    store.labels.create({ name: `${chance.one(["Home", "HOME", "Work", "work", "Soon"])}` });
  } else if (kind < 19) {
    change(task.id, task.recurrence ? { completed: true } : { due_on: "2030-01-01", recurrence: "FREQ=DAILY" });
  } else if (kind < 20) {
    store.preferences.change({ remind_before: chance.below(1000) });
  } else if (project && chance.below(2) === 0) {
    ledger.replaces(project, "name");
    ledger.note(where, "removes", project);
    store.projects.remove(project.id);
  } else if (label) {
    store.labels.remove(label.id);
  }
}

const byId = <T extends { id: string }>(things: readonly T[]): T[] => [...things].sort((a, b) => (a.id < b.id ? -1 : 1));

export async function whatIsThere(todolist: Todolist) {
  const { tasks, trash, projects, labels, notifications, preferences } = todolist;
  return {
    tasks: byId(await tasks.list().all()),
    projects: byId(await projects.list().all()),
    labels: byId(await labels.list().all()),
    notifications: byId(await notifications.list().all()),
    preferences: await preferences.get(),
    trash: byId(await trash.list().all()),
  };
}

export function whatIsShown(store: Store) {
  const { tasks, projects, labels, notifications, preferences } = store;
  return { tasks: byId(tasks.all()), projects: byId(projects.all()), labels: byId(labels.all()), notifications: byId(notifications.all()), preferences: preferences.current() };
}
