import { newFields } from "./defaults.js";
import { versionOf, type Fields, type Kind, type Operation, type Thing } from "../kinds.js";
import type { Records } from "../records.js";
import { placed } from "./sorting.js";

/**
 * What is shown: what the server has, and upon it what was done here and is not told of by events yet. Made anew after
 * each change; what is the same stays the same object.
 */
export class View {
  readonly #touched = new Map<string, Thing | null>();
  readonly #lists = new Set<Kind>(); // that were made since the last change

  constructor(
    private readonly records: Records,
    private readonly operations: readonly Operation[],
    /** Lists as they were shown last. */
    private readonly last: Map<Kind, readonly Thing[]>,
  ) {
    for (const operation of operations) this.#apply(operation);
  }

  get(kind: Kind, id: string): Thing | undefined {
    const touched = this.#touched.get(`${kind}/${id}`);
    return touched === null ? undefined : (touched ?? this.records.table(kind).get(id));
  }

  /** All of a kind, in their order. */
  list(kind: Kind): readonly Thing[] {
    const before = this.last.get(kind);
    if (before && this.#lists.has(kind)) return before;
    const moves = this.operations.filter((one) => one.kind === kind && one.what === "move" && !one.answer);
    // What was sorted before is nearly sorted now, which makes it quick.
    const things = new Map<string, Thing>();
    for (const { id } of before ?? []) {
      const thing = this.get(kind, id);
      if (thing) things.set(id, thing);
    }
    for (const thing of this.#each(kind)) if (!things.has(thing.id)) things.set(thing.id, thing);
    const list = placed(kind, [...things.values()], moves);
    this.#lists.add(kind);
    if (before?.length === list.length && before.every((thing, index) => thing === list[index])) return before;
    this.last.set(kind, list);
    return list;
  }

  *#each(kind: Kind): Iterable<Thing> {
    for (const [id, thing] of this.records.table(kind)) {
      const touched = this.#touched.get(`${kind}/${id}`);
      if (touched !== null) yield touched ?? thing;
    }
    for (const [key, thing] of this.#touched) {
      const [of, id] = key.split("/") as [Kind, string];
      if (of === kind && thing && !this.records.table(kind).has(id)) yield thing;
    }
  }

  #put(kind: Kind, id: string, thing: Thing | null): void {
    this.#touched.set(`${kind}/${id}`, thing);
  }

  #apply({ kind, target, what, body, seen, answer, at }: Operation): void {
    const thing = this.get(kind, target);
    if (answer) {
      if (!thing || versionOf(answer) >= versionOf(thing)) this.#put(kind, target, answer);
    } else if (what === "remove") {
      if (thing) this.#remove(kind, target);
    } else if (what === "create") {
      // The event may have been faster than the answer.
      if (!thing) this.#put(kind, target, this.#within(newFields(kind, target, body, at)));
    } else if (what === "restore") {
      if (!thing && seen["id"]) this.#put(kind, target, seen as Thing);
    } else if (thing && what === "change") {
      this.#put(kind, target, this.#within(this.#changed(kind, thing, body, at)));
    } else if (thing && what === "read") {
      this.#put(kind, target, { ...thing, read_at: thing["read_at"] ?? at } as Thing);
    }
  }

  /** What the server makes of a change, as far as it can be told here. */
  #changed(kind: Kind, thing: Thing, body: Fields, at: string): Thing {
    const after: Fields = { ...thing, ...body };
    if (kind !== "task") return after as Thing;
    if (body["due_on"]) after["deadline"] = null;
    else if (body["deadline"]) after["due_on"] = null;
    if (!after["deadline"] && !after["due_on"]) after["recurrence"] = "";
    if (after["completed"] !== thing["completed"]) after["completed_at"] = after["completed"] ? at : null;
    for (const subtask of this.#subtasks(thing.id)) {
      const change: Fields = {};
      if (after["completed"] && !thing["completed"] && !subtask["completed"]) Object.assign(change, { completed: true, completed_at: at });
      if (after["project_id"] !== subtask["project_id"]) change["project_id"] = after["project_id"];
      if (Object.keys(change).length > 0) this.#put("task", subtask.id, { ...subtask, ...change } as Thing);
    }
    return after as Thing;
  }

  /** A subtask is in the project of its parent. */
  #within(thing: Thing): Thing {
    const parent = typeof thing["parent_id"] === "string" ? this.get("task", thing["parent_id"]) : undefined;
    return parent && parent["project_id"] !== thing["project_id"] ? ({ ...thing, project_id: parent["project_id"] } as Thing) : thing;
  }

  #remove(kind: Kind, target: string): void {
    this.#put(kind, target, null);
    if (kind === "task") {
      for (const { id } of this.#subtasks(target)) this.#remove("task", id);
      for (const one of [...this.#each("notification")]) if (one["task_id"] === target) this.#put("notification", one.id, null);
      return;
    }
    for (const task of [...this.#each("task")]) {
      const id = task["id"] as string;
      const labels = task["label_ids"] as string[];
      if (kind === "project" && task["project_id"] === target) this.#put("task", id, { ...task, project_id: null } as Thing);
      if (kind === "label" && labels.includes(target)) this.#put("task", id, { ...task, label_ids: labels.filter((one) => one !== target) } as Thing);
    }
  }

  #subtasks(id: string): Thing[] {
    const ids = new Set(this.records.subtasksOf(id));
    for (const [key, task] of this.#touched) if (task?.["parent_id"] === id && key.startsWith("task/")) ids.add(task.id);
    return [...ids].map((one) => this.get("task", one)).filter((task) => task?.["parent_id"] === id) as Thing[];
  }
}
