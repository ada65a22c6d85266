// The socket: connects, notices when the connection is gone, comes back, and misses nothing meanwhile.

import { config } from "./config.js";
import { SignedOut, getToken } from "./session.js";

const CLOSED_UNAUTHORIZED = 4001;
const FIRST_DELAY = 500;
const LONGEST_DELAY = 10_000;
// A connection that takes longer than this to open will not.
const OPEN_WITHIN = 10_000;
// A server that has not said "ready" by then is one that never says it.
const READY_WITHIN = 500;
const PING_EVERY = 25_000;

/**
 * @typedef {object} Listener
 * @property {(state: "live" | "reconnecting") => void} onState
 * @property {() => void} onReload what is shown may be out of date: fetch it again
 * @property {(event: {type: string, data: object}) => void} onEvent
 * @property {() => void} onRefused the backend does not accept tokens of this person
 * @property {() => void} onSignedOut no token is to be had
 */

export class Live {
  #listener;
  #socket = null;
  #token = ""; // the one that the socket knows
  #seq = null; // number of the last event seen, where the server numbers them
  #epoch = null; // the history that it belongs to
  #failures = 0;
  #refusals = 0;
  #ready = false;
  #running = false;
  #pong = true;
  #canPong = false;
  #retryTimer = 0;
  #openTimer = 0;
  #pingTimer = 0;

  /** @param {Listener} listener */
  constructor(listener) {
    this.#listener = listener;
  }

  start() {
    this.#running = true;
    addEventListener("online", this.#hurry);
    document.addEventListener("visibilitychange", this.#hurry);
    this.#connect();
  }

  stop() {
    this.#running = false;
    removeEventListener("online", this.#hurry);
    document.removeEventListener("visibilitychange", this.#hurry);
    this.#drop();
  }

  /** Lets the open socket live as long as this new token. */
  renew(token) {
    if (!this.#ready || token === this.#token) return;
    this.#token = token;
    this.#send({ type: "auth", token });
  }

  async #connect() {
    this.#drop();
    let token;
    try {
      token = await getToken({ renew: this.#refusals > 0 });
    } catch (error) {
      if (!this.#running) return;
      if (error instanceof SignedOut) return this.#listener.onSignedOut();
      return this.#retry();
    }
    if (!this.#running || this.#socket) return;

    const url = new URL("/ws/notifications", config.api.replace(/^http/, "ws"));
    const since = this.#seq;
    if (since !== null) url.searchParams.set("since", since);
    if (since !== null && this.#epoch !== null) url.searchParams.set("epoch", this.#epoch);
    // The token travels as a subprotocol: a URL would end up in the logs of every server on the way.
    const socket = new WebSocket(url, ["bearer", token]);
    this.#socket = socket;
    this.#token = token;
    this.#openTimer = setTimeout(() => this.#retry(), OPEN_WITHIN);

    const replays = since !== null;
    socket.onopen = () => {
      clearTimeout(this.#openTimer);
      this.#openTimer = setTimeout(() => this.#becomeReady(replays), READY_WITHIN);
    };
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data), replays);
    socket.onclose = ({ code }) => this.#closed(code);
  }

  #receive(message, replays) {
    switch (message.type) {
      case "ready":
        if (Number.isInteger(message.seq)) this.#seq = message.seq;
        this.#epoch = message.epoch ?? null;
        return this.#becomeReady(replays);
      case "resync":
        this.#seq = message.seq;
        this.#epoch = message.epoch ?? null;
        return this.#listener.onReload();
      case "auth.expiring":
        return this.#expiring();
      case "auth.ok":
        return;
      case "pong":
        this.#pong = this.#canPong = true;
        return;
      case "error":
        return console.warn("The server did not understand:", message.detail);
      default:
        return this.#event(message);
    }
  }

  #event(message) {
    if (Number.isInteger(message.seq)) {
      if (this.#seq !== null && message.seq <= this.#seq) return;
      const gap = this.#seq !== null && message.seq > this.#seq + 1;
      this.#seq = message.seq;
      if (gap) this.#listener.onReload();
    }
    this.#listener.onEvent(message);
  }

  #becomeReady(replays) {
    if (this.#ready) return;
    clearTimeout(this.#openTimer);
    this.#ready = true;
    this.#failures = this.#refusals = 0;
    this.#pong = true;
    this.#pingTimer = setInterval(() => this.#ping(), PING_EVERY);
    this.#listener.onState("live");
    // Without numbers nothing tells what happened while we were away.
    if (!replays) this.#listener.onReload();
    getToken().then((token) => this.renew(token), () => {}); // it may have been renewed while the socket opened
  }

  #expiring() {
    // No renewal by force: a token of less than a minute is announced as expiring at once, and so would be the next.
    getToken().then((token) => this.renew(token), (error) => {
      if (error instanceof SignedOut && this.#running) this.#listener.onSignedOut();
    });
  }

  #ping() {
    // A connection can be dead without anybody having said so. Only a server that answers can be missed.
    if (this.#canPong && !this.#pong) return this.#retry();
    this.#pong = false;
    this.#send({ type: "ping" });
  }

  #closed(code) {
    console.info(`socket closed: ${code}`);
    if (code !== CLOSED_UNAUTHORIZED) return this.#retry();
    // Once may be an expired token, so try a new one. Twice in a row is a refusal.
    this.#refusals += 1;
    if (this.#refusals > 1) return this.#listener.onRefused();
    this.#connect();
  }

  #retry() {
    this.#drop();
    this.#listener.onState("reconnecting");
    const longest = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** this.#failures);
    this.#failures += 1;
    // Spread out, so that a restarted server does not meet all its pages in the same instant.
    this.#retryTimer = setTimeout(() => this.#connect(), longest * (0.5 + Math.random() / 2));
  }

  /** The network is back, or somebody looks at the page: do not wait out the delay. */
  #hurry = () => {
    if (this.#socket || document.visibilityState === "hidden") return;
    this.#connect();
  };

  #drop() {
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#openTimer);
    clearInterval(this.#pingTimer);
    this.#ready = false;
    if (!this.#socket) return;
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
    this.#socket = null;
  }

  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }
}
