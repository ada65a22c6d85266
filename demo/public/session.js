// Who is signed in, and the token that tells the backend so. The token stays in this page's memory: a script of
// another origin cannot read it, and closing the page forgets it. The cookie of Better Auth brings a new one.

import { config } from "./config.js";

/** Nobody is signed in any more, or somebody else is. */
export class SignedOut extends Error {}

/** Better Auth refused what was typed; the message is for the person. */
export class Rejected extends Error {}

// Renew this long before the end. It is a little more than the 60 s at which the backend reminds us.
const MARGIN = 75_000;
const RETRY = 5_000;

// Tells the other tabs that somebody signed in or out.
const channel = new BroadcastChannel("session");

let user = null;
let token = "";
let expires = 0;
let margin = MARGIN;
let pending = null;
let timer = 0;
let onToken = () => {};
let onLost = () => {};

/** `token` is called with each new token, `lost` when no new one is to be had, `changed` when another tab did something. */
export function listen({ token, lost, changed }) {
  onToken = token;
  onLost = lost;
  channel.onmessage = changed;
}

/** The person of the session cookie, or null. */
export async function currentUser() {
  const answer = await ask("/get-session");
  user = answer?.user ?? null;
  return user;
}

export async function signIn({ email, password }) {
  return begun(await ask("/sign-in/email", { email, password }));
}

export async function signUp({ name, email, password }) {
  return begun(await ask("/sign-up/email", { name, email, password }));
}

export async function signOut() {
  await ask("/sign-out", {});
  forget();
  channel.postMessage("changed");
}

/** Drops the token of this page. The session at Better Auth stays. */
export function forget() {
  clearTimeout(timer);
  user = null;
  token = "";
  expires = 0;
}

/** A token with some life left. `renew` asks for another even so. */
export async function getToken({ renew = false } = {}) {
  if (!renew && Date.now() < expires - margin) return token;
  // One request, however many wait for it.
  pending ??= fetchToken().finally(() => (pending = null));
  return pending;
}

function begun(answer) {
  forget();
  user = answer.user;
  channel.postMessage("changed");
  return user;
}

async function ask(path, body) {
  const response = await fetch(`/api/auth${path}`, {
    method: body ? "POST" : "GET",
    headers: body ? { "Content-Type": "application/json" } : {},
    body: body && JSON.stringify(body),
  });
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer;
  if (response.status < 500) throw new Rejected(answer?.message ?? "That was not accepted.");
  throw new Error(`The sign-in server answered ${response.status}.`);
}

async function fetchToken() {
  const wanted = user?.id;
  const response = await fetch(config.token, { cache: "no-store" });
  if (response.status === 401) throw new SignedOut();
  if (!response.ok) throw new Error(`The sign-in server answered ${response.status}.`);
  const fresh = (await response.json()).token;
  const claims = readClaims(fresh);
  // The page may meanwhile have been left, or another tab may have signed in somebody else.
  if (!wanted || user?.id !== wanted || claims.sub !== wanted) throw new SignedOut();

  token = fresh;
  // By its length from now on, not by its end: this machine's clock may be wrong.
  const lifetime = (claims.exp - claims.iat) * 1000;
  expires = Date.now() + lifetime;
  margin = Math.min(MARGIN, lifetime / 3);
  renewIn(lifetime - margin);
  onToken(token);
  return token;
}

function renewIn(milliseconds) {
  clearTimeout(timer);
  timer = setTimeout(() => {
    getToken({ renew: true }).catch((error) => (error instanceof SignedOut ? onLost() : renewIn(RETRY)));
  }, milliseconds);
}

/** Reads a token without checking it, which is the backend's part. */
function readClaims(jwt) {
  const base64 = jwt.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}
