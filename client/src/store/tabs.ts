import type { LiveReason, LiveState } from "../live/live.js";
import type { Operation } from "./kinds.js";
import type { Entry } from "./storage.js";

export interface Connection {
  state: LiveState;
  reason: LiveReason | null;
}

type Message =
  | { say: "hello" } // somebody follows, and knows nothing yet
  | { say: "leading" }
  | ({ say: "all"; entries: Entry[] } & Connection)
  | { say: "batch"; entries: Entry[] }
  | ({ say: "status" } & Connection)
  | { say: "do"; operations: Operation[] }
  | { say: "taken"; ids: string[] }
  | { say: "dismiss"; id: string }
  | { say: "forget" };

/** What a tab hears of the others. */
export interface Roles {
  /** This tab leads from now on (and says so by `leading`): it alone has the socket, the storage and the queue. */
  lead(): Promise<void>;
  all(): Entry[];
  connection(): Connection;
  replace(entries: Entry[]): void;
  take(entries: Entry[]): void;
  connected(connection: Connection): void;
  perform(operations: Operation[]): void;
  taken(ids: string[]): void;
  dismiss(id: string): void;
  forget(): void;
  /** Operations of this tab that whoever leads has not kept yet. */
  untaken(): Operation[];
  saved(): Promise<void>;
}

/** The tabs of one person in one browser: one of them leads, the others follow it and hand over what is done in them. */
export class Tabs {
  leading = false;
  /** Whether what whoever leads says adds to something. */
  #following = false;
  readonly #channel: BroadcastChannel | null = null;
  readonly #closed = new AbortController();

  /** @param name null where there is no other tab, or none that could be heard */
  constructor(
    name: string | null,
    private readonly roles: Roles,
  ) {
    if (name === null) {
      void this.#lead();
      return;
    }
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }: MessageEvent<Message>) => this.#hear(data);
    this.say({ say: "hello" });
    const until = new Promise<void>((resolve) => this.#closed.signal.addEventListener("abort", () => resolve()));
    navigator.locks
      .request(name, { signal: this.#closed.signal }, async () => {
        await this.#lead();
        await until;
        await roles.saved(); // before another one reads it
      })
      .catch(() => {}); // closed before it had to lead
  }

  static get possible(): boolean {
    return typeof BroadcastChannel === "function" && typeof navigator === "object" && "locks" in navigator;
  }

  say(message: Message): void {
    if (!this.#closed.signal.aborted) this.#channel?.postMessage(message);
  }

  close(): void {
    this.#closed.abort();
    this.#channel?.close();
  }

  async #lead(): Promise<void> {
    await this.roles.lead();
    this.say({ say: "leading" });
  }

  #hear(message: Message): void {
    const { roles } = this;
    if (message.say === "forget") return roles.forget();
    if (this.leading) {
      if (message.say === "hello") this.say({ say: "all", entries: roles.all(), ...roles.connection() });
      else if (message.say === "do") roles.perform(message.operations);
      else if (message.say === "dismiss") roles.dismiss(message.id);
      return;
    }
    if (message.say === "leading") {
      this.#following = false;
      this.say({ say: "hello" });
      this.say({ say: "do", operations: roles.untaken() });
    } else if (message.say === "all") {
      this.#following = true;
      roles.replace(message.entries);
      roles.connected(message);
    } else if (message.say === "batch") {
      if (this.#following) roles.take(message.entries);
    } else if (message.say === "taken") {
      roles.taken(message.ids);
    } else if (message.say === "status") {
      roles.connected(message);
    }
  }
}
