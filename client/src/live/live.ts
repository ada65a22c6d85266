import { pause } from "../clock.js";
import { TodolistError } from "../errors.js";
import type { Http } from "../rest/http.js";
import type { ClientMessage, LiveEvent, Position, ServerMessage } from "../types.js";
import { report } from "../report.js";
import { Watch } from "./watch.js";

export type LiveState =
  | "connecting" // fetches what is followed, or opens the socket
  | "live"
  | "waiting" // and tries again by itself
  | "signed_out" // no token is to be had: sign in again, and `reconnect()`
  | "refused" // the server refuses a new token as well
  | "closed";

/** Why it is as it is. */
export type LiveReason =
  | "unreachable"
  | "silent" // connected to a server that does not answer
  | "expired" // the token was refused, and a new one is fetched
  | "too_many" // sockets of this person
  | "try_again" // the server has too much to do
  | "failed"; // `load` has thrown something else than a `TodolistError`

export interface LiveOptions {
  /** Fetches what is followed, and gives the position of the first list that was fetched. Called again where events are missing. */
  load: () => Promise<Position>;
  /** Every event after that, once and in order. */
  event: (event: LiveEvent) => void;
  state?: (state: LiveState, reason?: LiveReason) => void;
  /** Everything of this person was erased: forget it. `load` is called next. */
  erased?: () => void;
  /** Where to go on, of what was fetched before. Without it `load` comes first. */
  since?: Position | null;
}

// Codes by which the server closes.
const UNAUTHORIZED = 4001;
const TOO_MANY = 4008;
const TRY_AGAIN = 4503;

const OPEN_WITHIN = 8_000;
const RENEW_AGAIN = 5_000;
// The server reminds of the end so long before it, or at once where less is left.
const REMINDER = 60_000;
const LONGEST_TIMER = 2 ** 31 - 1;

/** Live events of one person: opened and kept open, without a gap, until it is closed. */
export class Live {
  /** The newest event that was told of, and what to go on from. */
  position: Position | null;
  #state: LiveState = "connecting";
  #socket: WebSocket | null = null;
  #token = ""; // that the socket knows
  #refused: string | undefined; // that the server did not accept
  #refusals = 0;
  #failures = 0;
  // One at a time: an older one that ends later would take what is known back to how it was.
  #loading: Promise<Position> | null = null;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #renewal: ReturnType<typeof setTimeout> | undefined;
  #attempt = 0;
  readonly #watch = new Watch(
    () => this.#send({ type: "ping" }),
    () => this.#again("silent"),
  );

  constructor(
    private readonly http: Http,
    private readonly Socket: typeof WebSocket,
    private readonly options: LiveOptions,
  ) {
    this.position = options.since ?? null;
    globalThis.addEventListener?.("online", this.#hurry);
    globalThis.document?.addEventListener("visibilitychange", this.#hurry);
    // Not before the caller has what it needs to hear of it.
    queueMicrotask(() => this.#state !== "closed" && void this.#connect());
  }

  get state(): LiveState {
    return this.#state;
  }

  /** Does not wait any longer; also where it had given up. */
  reconnect(): void {
    if (this.#state === "closed") return;
    this.#refusals = this.#failures = 0;
    void this.#connect();
  }

  close(): void {
    globalThis.removeEventListener?.("online", this.#hurry);
    globalThis.document?.removeEventListener("visibilitychange", this.#hurry);
    this.#stop("closed");
  }

  async #connect(): Promise<void> {
    this.#drop();
    this.#tell("connecting");
    const attempt = this.#attempt;
    let token;
    try {
      this.position ??= await (this.#loading ??= this.options.load().finally(() => (this.#loading = null)));
      token = await this.http.tokens.get(this.#refused);
    } catch (error) {
      if (attempt === this.#attempt) this.#failed(error);
      return;
    }
    if (attempt !== this.#attempt) return;
    const { seq, epoch } = this.position;
    const query = new URLSearchParams({ since: String(seq), epoch });
    // The token goes as a subprotocol: a URL would end up in the logs of every server on the way.
    const socket = new this.Socket(`${this.http.url.replace(/^http/, "ws")}/ws/notifications?${query}`, ["bearer", token]);
    this.#socket = socket;
    this.#token = token;
    this.#watch.expect(OPEN_WITHIN);
    socket.onmessage = ({ data }) => this.#receive(String(data));
    socket.onclose = ({ code, reason }) => this.#closed(code, reason);
    // Node.js 20 says nothing else of a connection that could not be opened. Others say more at once.
    socket.onerror = () => setTimeout(() => socket === this.#socket && this.#again("unreachable"));
  }

  #failed(error: unknown): void {
    const known = error instanceof TodolistError;
    if (known && error.signedOut) return this.#stop(error.status === 401 ? "refused" : "signed_out");
    if (!known) report(error);
    this.#again(known ? "unreachable" : "failed", (known && error.retryAfter) || 0);
  }

  #receive(data: string): void {
    this.#watch.heard();
    const message = JSON.parse(data) as ServerMessage;
    if ("data" in message) return this.#event(message);
    switch (message.type) {
      case "ready":
        this.#refused = undefined;
        this.#refusals = this.#failures = 0;
        this.#renewIn(this.http.tokens.dueIn(this.#token));
        return this.#tell("live");
      case "resync":
        this.position = null;
        return void this.#connect();
      case "auth.expiring": {
        // A token that was not new when it was handed out has less life left than its length says. One that lives for less
        // than a minute is announced as soon as it is known, as is the next: no hurry then.
        const due = this.http.tokens.dueIn(this.#token);
        return this.#renewIn(due > REMINDER ? 0 : due);
      }
    }
  }

  #event(event: LiveEvent): void {
    const position = this.position!;
    if (event.seq <= position.seq) return;
    if (event.seq > position.seq + 1) return this.#again("unreachable"); // asks for what is missing
    try {
      this.options.event(event);
    } catch (error) {
      report(error);
    }
    this.position = { ...position, seq: event.seq };
  }

  #renewIn(milliseconds: number): void {
    clearTimeout(this.#renewal);
    if (milliseconds > LONGEST_TIMER) return;
    const attempt = this.#attempt;
    this.#renewal = setTimeout(async () => {
      try {
        const token = await this.http.tokens.get(this.#token);
        if (attempt !== this.#attempt) return;
        if (token === this.#token) return this.#renewIn(RENEW_AGAIN);
        this.#token = token;
        this.#send({ type: "auth", token });
        this.#renewIn(this.http.tokens.dueIn(token));
      } catch (error) {
        if (attempt !== this.#attempt) return;
        if (error instanceof TodolistError && error.signedOut) this.#stop("signed_out");
        else this.#renewIn(RENEW_AGAIN);
      }
    }, milliseconds);
  }

  #closed(code: number, reason: string): void {
    if (code !== UNAUTHORIZED) return this.#again(code === TOO_MANY ? "too_many" : code === TRY_AGAIN ? "try_again" : "unreachable");
    if (reason === "Erased") {
      this.position = null;
      this.options.erased?.();
    }
    this.#refused = this.#token;
    // Once may be an expired token, so a new one is tried. Twice in a row is a refusal.
    this.#refusals += 1;
    if (this.#refusals > 1) return this.#stop("refused");
    this.#tell("waiting", "expired");
    void this.#connect();
  }

  /** @param least how long to wait at least, in milliseconds */
  #again(reason: LiveReason, least = 0): void {
    this.#drop();
    this.#tell("waiting", reason);
    const patient = reason === "too_many" || reason === "failed";
    this.#retry = setTimeout(() => void this.#connect(), Math.max(least, pause(this.#failures++, patient ? 5_000 : 500, patient ? 60_000 : 10_000)));
  }

  /** The network is back, or somebody looks at the page. */
  #hurry = (): void => {
    if (globalThis.document?.visibilityState === "hidden") return;
    if (this.#state === "waiting") void this.#connect();
    else if (this.#state === "live") this.#watch.ask();
  };

  #stop(state: LiveState): void {
    this.#drop();
    this.#tell(state);
  }

  #drop(): void {
    this.#attempt += 1;
    clearTimeout(this.#retry);
    clearTimeout(this.#renewal);
    this.#watch.stop();
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #send(message: ClientMessage): void {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(message));
  }

  #tell(state: LiveState, reason?: LiveReason): void {
    this.#state = state;
    this.options.state?.(state, reason);
  }
}
