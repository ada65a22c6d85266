import { newId } from "../../ids.js";
import { madeBy } from "../../same.js";
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

  /** As it is kept; nothing where it is done or dropped. */
  get({ id }: Operation): Operation | undefined {
    return this.records.table("operation").get(id);
  }

  add(operation: Operation): void {
    if (this.get(operation)) return; // another tab sends it twice rather than never
    const last = this.all.at(-1);
    if (last && !last.sent && last.kind === operation.kind && last.target === operation.target && operation.what === "change" && (last.what === "change" || last.what === "create") && !("completed" in { ...last.body, ...operation.body })) {
      // One who types makes many changes of one thing. (What repeats has a next one only where it is completed by itself.)
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
    const about = this.#about(operation.kind, operation.target);
    return about.slice(about.findIndex(({ id }) => id === operation.id) + 1).filter(({ sent }) => !sent);
  }

  /** The newest that is known of something: by events, or by an answer that came before its event. */
  known(kind: Kind, id: string): Thing | null {
    let known = this.server.get(kind, id) ?? null;
    for (const { answer } of this.#about(kind, id)) {
      if (answer === null || (answer && (!known || versionOf(answer) > versionOf(known)))) known = answer;
    }
    return known;
  }

  /** The server has done it. It is shown until events are as far. */
  confirm(operation: Operation, answer: Thing | null): void {
    if (!this.get(operation)) return;
    this.put({ ...operation, answer });
    this.#settle(operation.kind, operation.target);
  }

  /** An event has told of something, or lists: drops what that says. */
  told(kind: Kind, id: string): void {
    this.#settle(kind, id);
    this.#recognize(kind, id);
  }

  /** Lists have told of everything. */
  fetched(): void {
    for (const operation of this.all) {
      const { answer, ...unanswered } = operation;
      const { kind, target, what, sent } = operation;
      this.told(kind, target);
      // If it was sent while lists were fetched, it may have been deleted before its own was: it is asked for once more.
      if (sent && what === "create" && !this.server.get(kind, target)) this.put(unanswered);
    }
  }

  #about(kind: Kind, id: string): Operation[] {
    return this.all.filter((one) => one.kind === kind && one.target === id);
  }

  /** Drops what was answered, and is told of by now. */
  #settle(kind: Kind, id: string): void {
    const thing = this.server.get(kind, id);
    const answered = this.#about(kind, id).filter(({ answer }) => answer !== undefined);
    // What events have not told of yet is not there either. Else they come in order: it was changed, then removed.
    const awaited = !thing && answered.some(({ what }) => what === "create" || what === "restore");
    for (const operation of answered) {
      const { answer, version } = operation;
      // What has a later version than the one that was removed was brought back since.
      const told = thing ? versionOf(thing) >= (answer ? versionOf(answer) : version! + 1) : !awaited;
      if (told) this.drop(operation);
    }
  }

  /**
   * Events and lists may tell of what was sent before its answer does. That answer tells nothing then: it may come so late that
   * what it is about was deleted since, and no event would tell so once more. (Before they tell of a removal, they prove nothing of
   * what was sent after that.)
   */
  #recognize(kind: Kind, id: string): void {
    const thing = this.server.get(kind, id);
    const about = this.#about(kind, id);
    const operation = about.find(({ answer }) => answer === undefined);
    if (!operation?.sent || about.some(({ answer }) => answer === null)) return;
    const { what, version, body } = operation;
    const told = thing ? (what === "change" ? madeBy(body, version!, thing) : what === "create" || what === "restore") : what === "remove";
    if (told) this.drop(operation);
  }

  /** Tells what became of an operation that could not be done as it was meant. */
  tell({ kind, target, body, seen }: Operation, what: Conflict["what"], more: Partial<Conflict> = {}): void {
    const id = newId();
    this.records.set("conflict", id, { id, kind, target, what, mine: body, seen, theirs: null, ...more });
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
