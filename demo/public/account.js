// Who is signed in at the Better Auth server, and the tokens that tell the backend so.

import { config } from "./config.js";

/** Better Auth refused what was typed; the message is for the person. */
export class Rejected extends Error {}

const KEY = "person";
const TIMEOUT = 10_000;

/** Whoever is signed in, as far as this browser knows: that page is shown without a connection, too. */
export function remembered() {
  try {
    return JSON.parse(localStorage.getItem(KEY));
  } catch {
    return null; // the browser keeps nothing for this page
  }
}

/** The other tabs hear of it. @param {object | null} user */
export function remember(user) {
  try {
    if (!user) return localStorage.removeItem(KEY);
    const { id, name, email } = user;
    localStorage.setItem(KEY, JSON.stringify({ id, name, email }));
  } catch {
    // Then it is asked for with each load of the page.
  }
}

/** Calls back when somebody signed in or out in another tab. */
export function listen(changed) {
  addEventListener("storage", ({ key }) => key === KEY && changed());
}

/** The person of the session cookie, or null. */
export async function currentUser() {
  return (await ask("/get-session"))?.user ?? null;
}

export async function signIn({ email, password }) {
  return (await ask("/sign-in/email", { email, password })).user;
}

export async function signUp({ name, email, password }) {
  return (await ask("/sign-up/email", { name, email, password })).user;
}

export async function signOut() {
  await ask("/sign-out", {});
}

/** A token of whoever is signed in, or null. The client asks when it needs one, and keeps it in memory alone. */
export async function token() {
  const response = await fetch(config.token, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT) });
  if (response.status === 401) return null;
  if (!response.ok) throw new Error(`The sign-in server answered ${response.status}.`);
  return (await response.json()).token;
}

async function ask(path, body) {
  const response = await fetch(`/api/auth${path}`, {
    method: body ? "POST" : "GET",
    headers: body ? { "Content-Type": "application/json" } : {},
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(TIMEOUT),
  });
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer;
  if (response.status < 500) throw new Rejected(answer?.message ?? "That was not accepted.");
  throw new Error(`The sign-in server answered ${response.status}.`);
}
