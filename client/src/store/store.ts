import { pause, wait } from "../clock.js";
import { TodolistError } from "../errors.js";
import type { Todolist } from "../index.js";
import type { Live, LiveState } from "../live/live.js";
import { report } from "../report.js";
import { ONCE, type CallOptions } from "../rest/http.js";
import type * as T from "../types.js";
import { Collection, NotificationCollection, PreferencesOfStore, TaskCollection } from "./collections.js";
import type { Conflict, Kind, Operation, Thing } from "./kinds.js";
import { fetchAll } from "./fetching.js";
import { Outbox } from "./outbox/outbox.js";
import { Queue } from "./outbox/queue.js";
import { Records } from "./records.js";
import { ServerState } from "./server_state.js";
import { indexedDBStorage, memoryStorage, type Entry, type Storage } from "./storage.js";
import { Tabs, type Connection } from "./tabs.js";
import { View } from "./view/view.js";

export interface StoreOptions {
  /**
   * The id of whoever is signed in, where it is known: then what is kept of them is shown without a connection too.
   * Else a token has to be had first.
   */
  user?: string;
  /** Where it is kept: by default IndexedDB, where there is one, else nowhere beyond this object. */
  storage?: Storage;
  /** Whether the tabs of a browser share one socket and one storage: by default where the browser can. */
  tabs?: boolean;
}

export interface Status extends Connection {
  /** Whether what the server has is known, as of some moment. */
  loaded: boolean;
  /** How many operations the server has not answered yet. */
  pending: number;
  /** Whether this is the tab that has the socket. */
  leading: boolean;
}

/** Everything of one person: shown at once, kept true by events, changed at once, and kept where it survives a reload. */
export class Store {
  readonly tasks: TaskCollection;
  readonly projects: Collection<"project", T.NewProject, T.ProjectPatch>;
  readonly labels: Collection<"label", T.NewLabel, T.LabelPatch>;
  readonly notifications: NotificationCollection;
  readonly preferences: PreferencesOfStore;

  readonly #listeners = new Set<() => void>();
  readonly #records: Records;
  readonly #server: ServerState;
  readonly #queue: Queue;
  readonly #untaken = new Map<string, Operation>(); // of this tab, where another one leads
  readonly #closing = new AbortController();
  // What comes after the end would not be kept.
  readonly #options: CallOptions = { ...ONCE, signal: this.#closing.signal };
  #storage: Storage | null = null;
  #tabs: Tabs | null = null;
  #live: Live | null = null;
  #outbox: Outbox | null = null;
  #view: View | null = null;
  readonly #lists = new Map<Kind, readonly Thing[]>();
  #connection: Connection = { state: "connecting", reason: null };
  #status: Status | null = null;
  #conflicts: readonly Conflict[] | null = null;

  constructor(
    readonly todolist: Todolist,
    private readonly options: StoreOptions = {},
  ) {
    const committed = (entries: Entry[]): void => {
      this.#tabs?.say({ say: "batch", entries });
      this.#tell();
    };
    this.#records = new Records(() => (this.#view = this.#status = this.#conflicts = null), committed, report);
    this.#server = new ServerState(this.#records);
    this.#queue = new Queue(this.#records, this.#server);
    const shown = { view: () => this.#current(), perform: (operation: Operation) => this.#perform(operation) };
    this.tasks = new TaskCollection(shown, "task");
    this.projects = new Collection(shown, "project");
    this.labels = new Collection(shown, "label");
    this.notifications = new NotificationCollection(shown, "notification");
    this.preferences = new PreferencesOfStore(shown, "preferences");
    void this.#begin();
  }

  /** Calls back whenever something may not be as it was. @returns what ends it */
  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  /** The same object until it changes. */
  status(): Status {
    return (this.#status ??= {
      ...this.#connection,
      loaded: this.#server.position !== null,
      pending: this.#queue.all.filter(({ answer }) => answer === undefined).length + this.#untaken.size,
      leading: this.#tabs?.leading ?? false,
    });
  }

  /** What could not be done as it was meant, oldest first, until it is dismissed. */
  conflicts(): readonly Conflict[] {
    return (this.#conflicts ??= [...this.#records.table("conflict").values()]);
  }

  dismiss(id: string): void {
    if (this.#tabs?.leading) this.#records.delete("conflict", id);
    else this.#tabs?.say({ say: "dismiss", id });
  }

  /** Does not wait any longer for a connection; also where nobody was signed in before. */
  reconnect(): void {
    this.#live?.reconnect();
    this.#outbox?.wake(true);
  }

  /** Until all that was done so far would survive a reload of this page. */
  async saved(): Promise<void> {
    while (this.#untaken.size > 0) await new Promise<void>((resolve) => this.#once(resolve));
    await this.#records.saved();
  }

  close(): void {
    this.#closing.abort();
    this.#records.close();
    this.#tabs?.close();
    this.#live?.close();
    this.#connected("closed", null);
  }

  /** Closes it and drops what is kept, what waits included: for signing out. */
  async forget(): Promise<void> {
    this.#tabs?.say({ say: "forget" });
    await this.#forget();
  }

  async #begin(): Promise<void> {
    try {
      const user = this.options.user ?? (await this.#whoever());
      if (this.#closing.signal.aborted) return;
      // What is kept of one person is never mixed with what belongs to another.
      this.todolist.http.tokens.user ??= user;
      const name = `todolist ${this.todolist.http.url} ${user}`;
      this.#storage = this.options.storage ?? ("indexedDB" in globalThis ? indexedDBStorage(name) : memoryStorage());
      const shared = this.options.tabs ?? (Tabs.possible && !this.options.storage);
      this.#tabs = new Tabs(shared ? name : null, {
        lead: () => this.#lead(),
        all: () => this.#records.all(),
        connection: () => this.#connection,
        replace: (entries) => {
          this.#records.clear();
          this.#records.take(entries);
          this.#tell();
        },
        take: (entries) => {
          this.#records.take(entries);
          this.#tell();
        },
        connected: ({ state, reason }) => this.#connected(state, reason),
        perform: (operations) => void this.#performAll(operations),
        taken: (ids) => {
          for (const id of ids) this.#untaken.delete(id);
          this.#changed();
        },
        dismiss: (id) => this.#records.delete("conflict", id),
        forget: () => void this.#forget(),
        untaken: () => [...this.#untaken.values()],
        saved: () => this.#records.saved(),
      });
    } catch (error) {
      if (!this.#closing.signal.aborted) report(error);
    }
  }

  /** Asks for a token until there is one. */
  async #whoever(): Promise<string> {
    const { tokens } = this.todolist.http;
    for (let failures = 0; ; failures++) {
      try {
        await tokens.get();
        return tokens.user ?? "";
      } catch (error) {
        const passing = error instanceof TodolistError && error.passing;
        this.#connected(passing ? "waiting" : "signed_out", passing ? "unreachable" : null);
        await wait(pause(failures, 500, 10_000), this.#closing.signal);
      }
    }
  }

  async #lead(): Promise<void> {
    const kept = await this.#storage!.read().catch((error: unknown) => {
      report(error);
      this.#storage = memoryStorage(); // of this tab alone, where the browser keeps nothing
      return [];
    });
    if (this.#closing.signal.aborted) return;
    this.#records.clear();
    this.#records.take(kept);
    this.#records.storage = this.#storage;
    this.#tabs!.leading = true;
    for (const operation of this.#untaken.values()) this.#queue.add(operation);
    this.#untaken.clear();
    this.#outbox = new Outbox(this.todolist, this.#queue, () => this.#records.saved(), this.#options);
    this.#live = this.todolist.live({
      since: this.#server.position,
      load: () => this.#load(),
      event: (event) => this.#event(event),
      state: (state, reason) => {
        this.#connected(state, reason ?? null);
        if (state === "live") this.#outbox?.wake(true);
      },
      erased: () => void this.#erased(),
    });
    this.#outbox.wake();
    this.#changed();
  }

  async #load(): Promise<T.Position> {
    const answered = this.#queue.all.filter(({ answer }) => answer !== undefined);
    const { position, lists } = await fetchAll(this.todolist, this.#options);
    this.#server.replace(position, lists);
    for (const operation of answered) this.#queue.drop(operation);
    this.#queue.fetched();
    this.#outbox?.wake();
    return position;
  }

  #event(event: T.LiveEvent): void {
    const { kind, id } = this.#server.apply(event);
    this.#queue.told(kind, id);
  }

  #perform(operation: Operation): void {
    if (this.#tabs?.leading) return void this.#performAll([operation]);
    this.#untaken.set(operation.id, operation);
    this.#tabs?.say({ say: "do", operations: [operation] });
    this.#changed();
  }

  async #performAll(operations: Operation[]): Promise<void> {
    for (const operation of operations) this.#queue.add(operation);
    this.#outbox?.wake();
    await this.#records.saved();
    this.#tabs?.say({ say: "taken", ids: operations.map(({ id }) => id) });
  }

  #connected(state: LiveState, reason: Connection["reason"]): void {
    this.#connection = { state, reason };
    if (this.#tabs?.leading) this.#tabs.say({ say: "status", state, reason });
    this.#changed();
  }

  /** Everything of this person was erased: what waits here would bring some of it back. */
  async #erased(): Promise<void> {
    this.#records.clear();
    this.#tabs?.say({ say: "all", entries: [], ...this.#connection });
    this.#changed();
    await this.#storage?.clear();
  }

  async #forget(): Promise<void> {
    this.close();
    await this.#records.saved();
    this.#records.clear();
    this.#untaken.clear();
    this.#changed();
    await this.#storage?.clear();
  }

  #current(): View {
    return (this.#view ??= new View(this.#records, [...this.#queue.all, ...this.#untaken.values()], this.#lists));
  }

  #changed(): void {
    this.#view = this.#status = null;
    this.#tell();
  }

  #once(listener: () => void): void {
    const end = this.subscribe(() => (end(), listener()));
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

/** Opens what is kept of a person, and keeps it true. */
export function openStore(todolist: Todolist, options?: StoreOptions): Store {
  return new Store(todolist, options);
}
