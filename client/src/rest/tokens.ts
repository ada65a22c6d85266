import { begin, type Stopwatch } from "../clock.js";
import { TodolistError } from "../errors.js";

/** Gives a token of whoever is signed in, or null where nobody is. Asked again before a token expires. */
export type TokenSource = () => string | null | Promise<string | null>;

interface Held {
  token: string;
  age: Stopwatch;
  /** The age at which another one is wanted. */
  due: number;
}

// A little more than the minute before the end at which the server reminds of it.
const MARGIN = 75_000;

/** The token of one person: asked for once, however many wait for it, and renewed before it expires. */
export class Tokens {
  /** Whose tokens these are, once the first one came. */
  user: string | null = null;
  #source: TokenSource;
  #held: Held | null = null;
  #pending: Promise<string> | null = null;

  constructor(source: TokenSource) {
    this.#source = source;
  }

  /** A token with some life left, and not the one that the server has just refused. */
  async get(refused?: string): Promise<string> {
    const held = this.#held;
    if (held && held.token !== refused && held.age() < held.due) return held.token;
    this.#pending ??= this.#fetch().finally(() => (this.#pending = null));
    return this.#pending;
  }

  /** In how many milliseconds another token than this one is wanted. */
  dueIn(token: string): number {
    const held = this.#held;
    return held?.token === token ? Math.max(0, held.due - held.age()) : 0;
  }

  async #fetch(): Promise<string> {
    let token;
    try {
      token = await this.#source();
    } catch (error) {
      if (error instanceof TodolistError) throw error;
      throw new TodolistError("unreachable", "No token", 0, null, null, { cause: error });
    }
    if (!token) throw new TodolistError("no_token", "Nobody is signed in");
    const { sub, iat, exp } = readClaims(token);
    if (typeof sub === "string") {
      this.user ??= sub;
      if (this.user !== sub) throw new TodolistError("another_person", "Somebody else is signed in");
    }
    if (this.#held?.token !== token) {
      // By its length, as this machine's clock may be wrong.
      const length = typeof exp === "number" && typeof iat === "number" ? (exp - iat) * 1000 : Infinity;
      this.#held = { token, age: begin(), due: length - Math.min(MARGIN, length / 3) };
    }
    return token;
  }
}

/** Reads a token without checking it, which is the server's part. */
function readClaims(token: string): Record<string, unknown> {
  try {
    const base64 = token.split(".")[1]!.replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
  } catch {
    return {}; // the server says what is wrong with it
  }
}
