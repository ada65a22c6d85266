import { newId } from "../ids.js";
import type * as T from "../types.js";
import { PREFERENCES, TYPED, type Fields, type Kind, type Kinds, type Operation, type Thing } from "./kinds.js";
import type { View } from "./view/view.js";

/** What a collection needs of its store. */
export interface Shown {
  view(): View;
  perform(operation: Operation): void;
}

/** What is shown of one kind. The same array until something of it changes. */
class Readable<K extends Kind> {
  constructor(
    protected readonly shown: Shown,
    protected readonly kind: K,
  ) {}

  /** All of them, in their order. */
  all(): readonly Kinds[K][] {
    return this.shown.view().list(this.kind) as unknown as readonly Kinds[K][];
  }

  get(id: string): Kinds[K] | undefined {
    return this.shown.view().get(this.kind, id) as Kinds[K] | undefined;
  }

  protected perform(what: Operation["what"], target: string, body: Fields = {}): void {
    const thing: Fields = this.shown.view().get(this.kind, target) ?? {};
    // What a change is made upon tells later whether somebody else has changed the same.
    const seen = what === "create" ? {} : Object.fromEntries([...TYPED, ...Object.keys(body)].filter((field) => field in thing).map((field) => [field, thing[field]]));
    this.shown.perform({ id: newId(), n: 0, kind: this.kind, target, what, body, seen, at: new Date().toISOString() });
  }
}

/** Tasks, projects, labels. All of this is done here at once, and by the server when it can be reached. */
export class Collection<K extends "task" | "project" | "label", New extends { id?: string | null }, Patch extends object> extends Readable<K> {
  create({ id, ...body }: New): Kinds[K] {
    const target = id ?? newId();
    this.perform("create", target, body);
    return this.get(target)!;
  }

  change(id: string, patch: Patch): void {
    this.perform("change", id, patch as Fields);
  }

  remove(id: string): void {
    this.perform("remove", id);
  }

  move(id: string, place: T.Place): void {
    this.perform("move", id, { ...place });
  }
}

export class TaskCollection extends Collection<"task", T.NewTask, T.TaskPatch> {
  /** Brings a deleted one back. It is shown at once where the task is given, as it was. */
  restore(task: T.Task | string): void {
    const [id, seen] = typeof task === "string" ? [task, {}] : [task.id, { ...task } as Fields];
    this.shown.perform({ id: newId(), n: 0, kind: "task", target: id, what: "restore", body: {}, seen, at: new Date().toISOString() });
  }
}

export class NotificationCollection extends Readable<"notification"> {
  read(id: string): void {
    if (!this.get(id)?.read_at) this.perform("read", id);
  }

  /** Those that are shown, and none that nobody has seen yet. */
  readAll(): void {
    for (const { id, read_at } of this.all()) if (!read_at) this.perform("read", id);
  }
}

export class PreferencesOfStore extends Readable<"preferences"> {
  /** Null until they are known. */
  current(): T.Preferences | null {
    return this.get(PREFERENCES) ?? null;
  }

  change(patch: T.PreferencesPatch): void {
    this.perform("change", PREFERENCES, patch as Fields);
  }
}

export type { Thing };
