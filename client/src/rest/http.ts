import { pause, wait } from "../clock.js";
import { TodolistError, errorOf } from "../errors.js";
import type { Tokens } from "./tokens.js";

export interface CallOptions {
  signal?: AbortSignal;
  /** How often at most it is sent where that is safe and no answer came, or the server asks to come again. */
  tries?: number;
}

/** Of calls by those who try again by themselves. */
export const ONCE: CallOptions = { tries: 1 };

export interface Request extends CallOptions {
  body?: unknown;
  query?: object | undefined;
  /** Only where it is at this version. */
  version?: number | undefined;
  /** Of whatever may be sent once more without being done twice. */
  key?: string;
  /** Whether it may be sent again; where a key, a version or the method says so anyway, it need not be said. */
  repeatable?: boolean;
  timeout?: number;
}

export interface Answer {
  response: Response;
  /** Whether it was sent more than once, so that the answer may be about what an earlier one did. */
  repeated: boolean;
}

const TRIES = 4;
const TIMEOUT = 10_000;
// Whoever is asked to wait for longer than this is told so, instead.
const LONGEST_WAIT = 30_000;

/** Calls to the server: token, one renewal where it is refused, waiting and trying again. */
export class Http {
  constructor(
    readonly url: string,
    readonly tokens: Tokens,
    readonly fetch: typeof globalThis.fetch,
  ) {}

  async json<T>(method: string, path: string, request: Request = {}): Promise<T> {
    return (await (await this.send(method, path, request)).response.json()) as T;
  }

  async send(method: string, path: string, request: Request = {}): Promise<Answer> {
    const { key, version, tries = TRIES, signal } = request;
    const repeatable = request.repeatable ?? (method === "GET" || method === "DELETE" || key !== undefined || version !== undefined);
    for (let failures = 0; ; failures++) {
      try {
        return { response: await this.#withToken(method, path, request), repeated: failures > 0 };
      } catch (error) {
        if (!(error instanceof TodolistError && error.passing) || !repeatable) throw error;
        const delay = error.retryAfter ?? pause(failures, 500, 4_000);
        if (failures + 1 >= tries || delay > LONGEST_WAIT || error.code === "server_error") throw error;
        await wait(delay, signal);
      }
    }
  }

  async #withToken(method: string, path: string, request: Request): Promise<Response> {
    let token = await this.tokens.get();
    let response = await this.#once(method, path, request, token);
    if (response.status === 401) {
      // It may have run out while this machine slept, or its person was signed out and is back.
      token = await this.tokens.get(token);
      response = await this.#once(method, path, request, token);
    }
    if (response.ok) return response;
    throw await errorOf(response);
  }

  async #once(method: string, path: string, request: Request, token: string): Promise<Response> {
    const { body, key, version, signal, timeout = TIMEOUT } = request;
    const headers: Record<string, string> = { Authorization: `Bearer ${token}` };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (key !== undefined) headers["Idempotency-Key"] = key;
    if (version !== undefined) headers["If-Match"] = `"${version}"`;
    // The timeout is of the body, too: it is read before anything is answered.
    const limit = AbortSignal.timeout(timeout);
    try {
      const init: RequestInit = { method, headers, signal: signal ? AbortSignal.any([signal, limit]) : limit };
      if (body !== undefined) init.body = JSON.stringify(body);
      const response = await this.fetch(this.url + path + encode(request.query), init);
      const text = await response.text();
      return new Response(text === "" ? null : text, response);
    } catch (error) {
      signal?.throwIfAborted();
      throw new TodolistError("unreachable", "No answer came", 0, null, null, { cause: error });
    }
  }
}

function encode(query: object = {}): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [value].flat().map((one) => [name, String(one)]),
  );
  return pairs.length > 0 ? `?${new URLSearchParams(pairs)}` : "";
}
