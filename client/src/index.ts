import { Http, type CallOptions } from "./rest/http.js";
import { newId } from "./ids.js";
import { Live, type LiveOptions } from "./live/live.js";
import { Notifications, PreferencesResource, Push, Resource, Tasks, Trash } from "./rest/resources.js";
import { Tokens, type TokenSource } from "./rest/tokens.js";
import type * as T from "./types.js";

export interface Options {
  /** Where the server is, such as `https://api.example.com`. */
  url: string;
  token: TokenSource;
  /** Another `fetch` than that of the platform. */
  fetch?: typeof globalThis.fetch;
  /** Another `WebSocket` than that of the platform, for Node.js before 22. */
  WebSocket?: typeof globalThis.WebSocket;
}

/** A client of one person. Whoever signs in next gets another one. */
export class Todolist {
  readonly http: Http;
  readonly tasks: Tasks;
  readonly projects: Resource<T.Project, T.NewProject, T.ProjectPatch, T.ProjectQuery>;
  readonly labels: Resource<T.Label, T.NewLabel, T.LabelPatch, T.LabelQuery>;
  readonly notifications: Notifications;
  readonly trash: Trash;
  readonly preferences: PreferencesResource;
  readonly push: Push;
  /** The secret address of one's calendar feed. */
  readonly calendar = {
    make: async (options?: CallOptions): Promise<string> => (await this.http.json<{ url: string }>("POST", "/calendar", options)).url,
    drop: async (options?: CallOptions): Promise<void> => void (await this.http.send("DELETE", "/calendar", options)),
  };

  constructor(readonly options: Options) {
    const url = options.url.replace(/\/+$/, "");
    const http = (this.http = new Http(url, new Tokens(options.token), options.fetch ?? ((...call) => fetch(...call))));
    this.tasks = new Tasks(http, "/tasks");
    this.projects = new Resource(http, "/projects");
    this.labels = new Resource(http, "/labels");
    this.notifications = new Notifications(http, "/notifications");
    this.trash = new Trash(http, "/trash");
    this.preferences = new PreferencesResource(http);
    this.push = new Push(http, "/push/subscriptions");
  }

  me(options?: CallOptions): Promise<T.Person> {
    return this.http.json("GET", "/me", options);
  }

  /** Erases everything of one's own, for good. `confirm` is one's own id. */
  async erase(confirm: string, options?: CallOptions): Promise<void> {
    await this.http.send("DELETE", "/me", { ...options, query: { confirm }, timeout: 60_000 });
  }

  /** Takes over what a guest has, whose token this is. */
  adopt(token: string, options?: CallOptions): Promise<T.Adopted> {
    return this.http.json("POST", "/me/adopt", { repeatable: true, ...options, body: { token }, timeout: 60_000 });
  }

  export(options?: CallOptions): Promise<T.Export> {
    return this.http.json("GET", "/export", { ...options, timeout: 60_000 });
  }

  import(document: T.Import, options?: CallOptions): Promise<T.Imported> {
    return this.http.json("POST", "/import", { ...options, key: newId(), body: document, timeout: 60_000 });
  }

  /** Follows what `load` has fetched: every event after it, once and in order, until it is closed. */
  live(options: LiveOptions): Live {
    return new Live(this.http, this.options.WebSocket ?? WebSocket, options);
  }

  /** Events after a position, oldest first, for those who poll. The error `events_gone` says: fetch the lists again. */
  events(after: T.Position, options?: CallOptions): Promise<T.LiveEvent[]> {
    return this.http.json("GET", "/events", { ...options, query: { since: after.seq, epoch: after.epoch } });
  }
}

export function createTodolist(options: Options): Todolist {
  return new Todolist(options);
}

export { TodolistError, type Code } from "./errors.js";
export type { CallOptions } from "./rest/http.js";
export { newId } from "./ids.js";
export { List, earliest, type Page } from "./rest/lists.js";
export type { Live, LiveOptions, LiveReason, LiveState } from "./live/live.js";
export { compareMoments } from "./moments.js";
export type { ChangeOptions, CreateOptions } from "./rest/resources.js";
export type { TokenSource } from "./rest/tokens.js";
export type * from "./types.js";
export type { Collection, NotificationCollection, PreferencesOfStore, TaskCollection } from "./store/collections.js";
export type { Conflict } from "./store/kinds.js";
export { indexedDBStorage, memoryStorage, type Entry, type Storage } from "./store/storage.js";
export { Store, openStore, type Status, type StoreOptions } from "./store/store.js";
