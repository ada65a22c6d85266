import { newId } from "../../ids.js";
import { same } from "../../same.js";
import { versionOf, type Conflict, type Fields, type Kind, type Operation, type Thing } from "../kinds.js";
import type { Position } from "../../types.js";
import type { Records } from "../records.js";
import type { ServerState } from "../server_state.js";

/** The operations that wait, in their order, and those of which the answer is known and the event is not. */
export class Queue {
  constructor(
    private readonly records: Records,
    private readonly server: ServerState,
  ) {}

  get all(): Operation[] {
    return [...this.records.table("operation").values()].sort((a, b) => a.n - b.n || (a.id < b.id ? -1 : 1));
  }

  /** As of which event the server is known. */
  get position(): Position | null {
    return this.server.position;
  }

  /** The next one to be played. */
  get next(): Operation | undefined {
    return this.all.find((one) => one.answer === undefined);
  }

  get(id: string): Operation | undefined {
    return this.records.table("operation").get(id);
  }

  has({ id }: Operation): boolean {
    return this.records.table("operation").has(id);
  }

  add(operation: Operation): void {
    if (this.has(operation)) return; // another tab sends it twice rather than never
    const last = this.all.at(-1);
    if (last && !last.sent && last.kind === operation.kind && last.target === operation.target && operation.what === "change" && (last.what === "change" || last.what === "create")) {
      // One who types makes many changes of one thing.
      return this.put({ ...last, body: { ...last.body, ...operation.body }, seen: { ...operation.seen, ...last.seen } });
    }
    this.put({ ...operation, n: (last?.n ?? 0) + 1 });
  }

  put(operation: Operation): void {
    this.records.set("operation", operation.id, operation);
  }

  drop({ id }: Operation): void {
    this.records.delete("operation", id);
  }

  /** Those that come later, are about the same and have not been sent. */
  later(operation: Operation): Operation[] {
    const all = this.all;
    return all.slice(all.findIndex(({ id }) => id === operation.id) + 1).filter((one) => one.kind === operation.kind && one.target === operation.target && !one.sent);
  }

  /** The newest that is known of something: by events, or by an answer that came before its event. */
  known(kind: Kind, id: string): Thing | null {
    let known = this.server.get(kind, id) ?? null;
    for (const { kind: of, target, answer } of this.all) {
      if (of !== kind || target !== id || answer === undefined) continue;
      if (answer === null || !known || versionOf(answer) > versionOf(known)) known = answer;
    }
    return known;
  }

  /** The server has done it. It is shown until events are as far. */
  confirm(operation: Operation, answer: Thing | null): void {
    if (!this.has(operation)) return;
    this.put({ ...operation, answer });
    this.settle(operation.kind, operation.target);
  }

  /** Drops what events tell of by now. */
  settle(kind: Kind, id: string): void {
    const thing = this.server.get(kind, id);
    for (const operation of this.all) {
      const { what, answer, version } = operation;
      if (operation.kind !== kind || operation.target !== id || answer === undefined) continue;
      const told =
        answer === null // removed; what has a later version than that was brought back since
          ? !thing || (version !== undefined && versionOf(thing) > version)
          : thing
            ? versionOf(thing) >= versionOf(answer)
            : what !== "create" && what !== "restore"; // events come in order: it was changed, then removed
      if (told) this.drop(operation);
    }
  }

  /**
   * Events and lists may tell of what was sent before its answer does. That answer tells nothing then: it may come so late that
   * what it is about was deleted since, and no event would tell so once more.
   */
  recognize(kind: Kind, id: string): void {
    const thing = this.server.get(kind, id);
    const operation = this.all.find((one) => one.kind === kind && one.target === id && one.answer === undefined);
    if (!thing || !operation?.sent) return;
    const { what, version, body } = operation;
    const told = what === "change" ? thing["version"] === version! + 1 && same(body, thing) : what === "create" || what === "restore";
    if (told) this.drop(operation);
  }

  tell(conflict: Omit<Conflict, "id">): void {
    const id = newId();
    this.records.set("conflict", id, { ...conflict, id });
  }

  /** What is created in place of something carries its place in the order. */
  insert(at: Operation, kind: Kind, body: Fields): string {
    const target = newId();
    this.put({ id: newId(), n: at.n, kind, target, what: "create", body, seen: {}, at: at.at });
    return target;
  }

  /** Has all that waits speak of one thing in place of another, or of none. */
  rename(from: string, to: string | null): void {
    for (const operation of this.all) {
      const ids = operation.body["label_ids"] as string[] | undefined;
      if (operation.answer !== undefined || !ids?.includes(from)) continue;
      const renamed = ids.flatMap((id) => (id !== from ? [id] : to !== null ? [to] : []));
      this.put({ ...operation, body: { ...operation.body, label_ids: [...new Set(renamed)] } });
    }
  }
}
