/** What is wrong, in one word: those of the server, and of this client. */
export type Code =
  // of the server
  | "bad_header"
  | "bad_parameter"
  | "bad_request"
  | "body_too_large"
  | "bulk_failed"
  | "busy"
  | "changed_meanwhile"
  | "database_unavailable"
  | "events_gone"
  | "id_taken"
  | "key_of_another_body"
  | "keys_unavailable"
  | "method_not_allowed"
  | "not_acceptable"
  | "not_authenticated"
  | "not_found"
  | "not_ready"
  | "not_yours"
  | "parse_error"
  | "server_error"
  | "signed_out"
  | "still_running"
  | "token_expired"
  | "token_invalid"
  | "unsupported_encoding"
  | "unsupported_media_type"
  // of this client
  | "another_person" // the new token is not of whom this client began with
  | "invalid" // 400 by field: `fields`
  | "no_token" // nobody is signed in
  | "unexpected" // an answer that is not of this API
  | "unreachable"; // no answer came

/** Any call that failed. Sentences are for people and may change; `code` stays. */
export class TodolistError extends Error {
  override readonly name = "TodolistError";

  constructor(
    readonly code: Code,
    message: string,
    /** Of the answer; 0 where there was none. */
    readonly status = 0,
    /** The body of the answer. */
    readonly body: unknown = null,
    /** What `Retry-After` said, in milliseconds. */
    readonly retryAfter: number | null = null,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  /** What is wrong by field, where the code is `invalid`. */
  get fields(): Record<string, string[]> {
    return this.code === "invalid" ? (this.body as Record<string, string[]>) : {};
  }

  /** Whether the same call may succeed later, without anybody changing it. */
  get passing(): boolean {
    return this.code === "unreachable" || this.code === "still_running" || this.status >= 500;
  }

  /** Whether nobody is signed in: no token is to be had, or the server refuses a new one. */
  get signedOut(): boolean {
    return this.status === 401 || this.code === "no_token" || this.code === "another_person";
  }
}

export async function errorOf(response: Response): Promise<TodolistError> {
  const { status } = response;
  const body: unknown = await response.json().catch(() => null);
  const seconds = Number(response.headers.get("Retry-After") ?? NaN);
  const retryAfter = Number.isFinite(seconds) ? seconds * 1000 : null;
  const said = body as { detail?: unknown; code?: unknown } | null;
  if (typeof said?.code === "string" && typeof said.detail === "string") {
    return new TodolistError(said.code as Code, said.detail, status, body, retryAfter);
  }
  if (status === 400 && body !== null && typeof body === "object") {
    const sentences = Object.entries(body).map(([field, messages]) => `${field}: ${[messages].flat().join(" ")}`);
    return new TodolistError("invalid", sentences.join("\n"), status, body, retryAfter);
  }
  return new TodolistError("unexpected", `The server answered ${status}`, status, body, retryAfter);
}

export function is(error: unknown, code: Code): error is TodolistError {
  return error instanceof TodolistError && error.code === code;
}

/** What a call gives, or null where it is about something that is not there, or fails with this code. */
export async function unlessGone<T>(call: Promise<T>, code: Code = "not_found"): Promise<T | null> {
  try {
    return await call;
  } catch (error) {
    if (is(error, "not_found") || is(error, code)) return null;
    throw error;
  }
}
