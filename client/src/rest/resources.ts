import { is, unlessGone } from "../errors.js";
import type { CallOptions, Http, Request } from "./http.js";
import { newId } from "../ids.js";
import { List } from "./lists.js";
import { madeBy } from "../same.js";
import type * as T from "../types.js";

export interface CreateOptions extends CallOptions {
  /** By which the server knows a repeat. The id of what is created, where none is given. */
  key?: string;
}

export interface ChangeOptions extends CallOptions {
  /** Only where it is at this version; else the error has the code `changed_meanwhile`. Without it the last one wins. */
  version?: number;
}

interface Versioned {
  id: string;
  version: number;
}

/** What can be listed and looked at. */
class Readable<Thing, Query extends object> {
  constructor(
    protected readonly http: Http,
    protected readonly path: string,
  ) {}

  list(query?: Query, options?: CallOptions): List<Thing> {
    return new List(this.http, this.path, query, options);
  }

  protected at(id: string, verb = ""): string {
    return `${this.path}/${encodeURIComponent(id)}${verb}`;
  }
}

/** Tasks, projects and labels. */
export class Resource<Thing extends Versioned, New extends { id?: string | null }, Patch extends object, Query extends object> extends Readable<Thing, Query> {
  get(id: string, options?: CallOptions): Promise<Thing> {
    return this.http.json("GET", this.at(id), options);
  }

  /** Creates one, once, however often it has to be sent. Without an id of its own it gets a new one. */
  create(body: New, options: CreateOptions = {}): Promise<Thing> {
    const id = body.id ?? newId();
    return this.http.json("POST", this.path, { key: id, ...options, body: { ...body, id } });
  }

  async change(id: string, body: Patch, options: ChangeOptions = {}): Promise<Thing> {
    try {
      return await this.http.json("PATCH", this.at(id), { ...options, body });
    } catch (error) {
      // The answer to the first try may have been lost, and this is about what it did itself.
      if (!is(error, "changed_meanwhile") || options.version === undefined || options.tries === 1) throw error;
      const found = await this.get(id, options);
      if (!madeBy(body, options.version, found)) throw error;
      return found;
    }
  }

  /** Deletes it; one that is not there is as good as deleted. */
  async remove(id: string, options: ChangeOptions = {}): Promise<void> {
    await unlessGone(this.http.send("DELETE", this.at(id), options));
  }

  move(id: string, place: T.Place, options: ChangeOptions = {}): Promise<Thing> {
    return this.http.json("POST", this.at(id, "/move"), { repeatable: options.version === undefined, ...options, body: place });
  }
}

export class Tasks extends Resource<T.Task, T.NewTask, T.TaskPatch, T.TaskQuery> {
  counts(options?: CallOptions): Promise<T.Counts> {
    return this.http.json("GET", this.at("counts"), options);
  }

  /** Up to 100 operations in one transaction: all of them, or an error with the code `bulk_failed`. */
  async bulk(operations: T.BulkOperation[], { key = newId(), ...options }: CreateOptions = {}): Promise<T.BulkResult[]> {
    const named = operations.map((one) => (one.op === "create" ? { ...one, body: { id: newId(), ...one.body } } : one));
    const request: Request = { ...options, key, body: { operations: named } };
    return (await this.http.json<{ results: T.BulkResult[] }>("POST", this.at("bulk"), request)).results;
  }
}

export class Notifications extends Readable<T.Notification, T.NotificationQuery> {
  async unreadCount(options?: CallOptions): Promise<number> {
    return (await this.http.json<{ count: number }>("GET", this.at("unread-count"), options)).count;
  }

  read(id: string, options?: CallOptions): Promise<T.Notification> {
    return this.http.json("POST", this.at(id, "/read"), { repeatable: true, ...options });
  }

  async readAll(options?: CallOptions): Promise<number> {
    return (await this.http.json<{ updated: number }>("POST", this.at("read-all"), { repeatable: true, ...options })).updated;
  }
}

export class Trash extends Readable<T.TrashedTask, T.TrashQuery> {
  restore(id: string, options?: CallOptions): Promise<T.Task> {
    return this.http.json("POST", this.at(id, "/restore"), options);
  }

  async drop(id: string, options?: CallOptions): Promise<void> {
    await unlessGone(this.http.send("DELETE", this.at(id), options));
  }

  async empty(options?: CallOptions): Promise<void> {
    await this.http.send("DELETE", this.path, options);
  }
}

export class PreferencesResource {
  constructor(private readonly http: Http) {}

  get(options?: CallOptions): Promise<T.Preferences> {
    return this.http.json("GET", "/preferences", options);
  }

  change(body: T.PreferencesPatch, options: ChangeOptions = {}): Promise<T.Preferences> {
    return this.http.json("PATCH", "/preferences", { ...options, body });
  }
}

export class Push extends Readable<T.PushSubscription, object> {
  /** For `pushManager.subscribe`, as `applicationServerKey`. */
  async key(options?: CallOptions): Promise<string> {
    return (await this.http.json<{ public_key: string }>("GET", "/push/key", options)).public_key;
  }

  /** @param subscription what `PushSubscription.toJSON()` of the browser gives */
  subscribe(subscription: T.NewPushSubscription, options?: CallOptions): Promise<T.PushSubscription> {
    return this.http.json("POST", this.path, { repeatable: true, ...options, body: subscription });
  }

  async unsubscribe(id: string, options?: CallOptions): Promise<void> {
    await unlessGone(this.http.send("DELETE", this.at(id), options));
  }
}
