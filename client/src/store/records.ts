import type { Entry, Storage } from "./storage.js";
import type { Conflict, Kind, Operation, Thing } from "./kinds.js";
import type { Position } from "../types.js";

interface Tables extends Record<Kind, Thing> {
  operation: Operation;
  conflict: Conflict;
  meta: Position;
}

export type Table = keyof Tables;

/**
 * All that a store knows: what the server has as of one event, the operations that wait, the conflicts. Changes are
 * gathered, then written and told of as one batch.
 */
export class Records {
  readonly #tables = new Map<string, Map<string, unknown>>();
  readonly #subtasks = new Map<unknown, Set<string>>();
  #uncommitted = new Map<string, Entry>();
  #committing: Promise<void> | null = null;
  #written: Promise<unknown> = Promise.resolve();

  /** Of whoever leads; those who follow keep nothing. */
  storage: Storage | null = null;

  constructor(
    /** Called at once with each change, and once with all that were made together. */
    private readonly changed: () => void,
    private readonly committed: (batch: Entry[]) => void,
    private readonly failed: (error: unknown) => void,
  ) {}

  table<T extends Table>(name: T): ReadonlyMap<string, Tables[T]> {
    return this.#map(name) as Map<string, Tables[T]>;
  }

  /** The ids of the tasks of which this is the parent. */
  subtasksOf(id: string): Iterable<string> {
    return this.#subtasks.get(id) ?? [];
  }

  set<T extends Table>(table: T, id: string, value: Tables[T]): void {
    this.#put(table, id, value);
    this.#note([table, id, value]);
  }

  delete(table: Table, id: string): void {
    if (!this.#map(table).has(id)) return;
    this.#put(table, id, undefined);
    this.#note([table, id, undefined]);
  }

  /** Takes over what another one has committed. */
  take(batch: Entry[]): void {
    for (const [table, id, value] of batch) this.#put(table, id, value);
    this.changed();
  }

  clear(): void {
    this.#tables.clear();
    this.#subtasks.clear();
    this.#uncommitted.clear();
    this.changed();
  }

  all(): Entry[] {
    return [...this.#tables].flatMap(([table, map]) => [...map].map(([id, value]): Entry => [table, id, value]));
  }

  /** Writes what was changed so far, and nothing after that: another store may go on with it. */
  close(): void {
    this.#commit();
    this.storage = null;
  }

  /** Until all that was changed so far is kept. */
  async saved(): Promise<void> {
    await this.#committing;
    await this.#written;
  }

  #map(table: string): Map<string, unknown> {
    let map = this.#tables.get(table);
    if (!map) this.#tables.set(table, (map = new Map()));
    return map;
  }

  #put(table: string, id: string, value: unknown): void {
    const map = this.#map(table);
    if (table === "task") {
      this.#subtasks.get((map.get(id) as Thing | undefined)?.["parent_id"])?.delete(id);
      const parent = (value as Thing | undefined)?.["parent_id"];
      if (parent) this.#subtasks.set(parent, (this.#subtasks.get(parent) ?? new Set()).add(id));
    }
    if (value === undefined) map.delete(id);
    else map.set(id, value);
  }

  #note(entry: Entry): void {
    this.#uncommitted.set(`${entry[0]}/${entry[1]}`, entry);
    this.changed();
    this.#committing ??= Promise.resolve().then(() => this.#commit());
  }

  #commit(): void {
    this.#committing = null;
    const batch = [...this.#uncommitted.values()];
    this.#uncommitted = new Map();
    if (batch.length === 0) return;
    const { storage } = this;
    if (storage) this.#written = this.#written.then(() => storage.write(batch)).catch(this.failed);
    this.committed(batch);
  }
}
