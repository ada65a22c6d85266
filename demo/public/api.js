// Calls to the backend: the token, one renewal when it is refused, errors in words.

import { config } from "./config.js";
import { getToken } from "./session.js";

/** The backend refused a token that was made a moment ago. */
export class Refused extends Error {}

/** Any other failure; the message is for the person. `status` is 0 where no answer came. */
export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

const TIMEOUT = 15_000;

/** @returns {Promise<Response>} an answer that is 2xx */
export async function call(method, path, { body, headers = {} } = {}) {
  let response = await send(method, path, body, headers, await getToken());
  if (response.status === 401) {
    // It may have run out while this machine slept.
    response = await send(method, path, body, headers, await getToken({ renew: true }));
    if (response.status === 401) throw new Refused();
  }
  if (response.ok) return response;
  throw new ApiError(await explain(response), response.status);
}

/** All pages of a list. */
export async function callAll(path) {
  const items = [];
  for (let next = path; next; ) {
    const response = await call("GET", next);
    items.push(...(await response.json()));
    next = nextPath(response.headers.get("Link"));
  }
  return items;
}

async function send(method, path, body, headers, token) {
  try {
    return await fetch(config.api + path, {
      method,
      headers: {
        Authorization: `Bearer ${token}`,
        ...(body !== undefined && { "Content-Type": "application/json" }),
        ...headers,
      },
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT),
    });
  } catch {
    throw new ApiError("The server cannot be reached. Please try again in a moment.", 0);
  }
}

async function explain(response) {
  const answer = await response.json().catch(() => null);
  if (response.status === 400 && answer && !answer.detail) {
    // {"field": ["message", ...]}
    return Object.entries(answer).map(([field, messages]) => `${field}: ${[messages].flat().join(" ")}`).join("\n");
  }
  if (response.status === 409) return "The server is still busy with it. Please try again in a moment.";
  if (response.status === 503) return "The server is not ready. Please try again in a moment.";
  return answer?.detail ?? `The server answered ${response.status}.`;
}

/** Path and query of `Link: <...>; rel="next"`. Its host is not taken over, so a token goes to the backend alone. */
function nextPath(link) {
  const match = /<([^>]+)>\s*;\s*rel="?next"?/.exec(link ?? "");
  if (!match) return null;
  const url = new URL(match[1], config.api);
  return url.pathname + url.search;
}
