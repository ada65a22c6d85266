// Keeps the people who signed up: in memory, and in a file where one is named. A real application has a database
// here; the demo does without one so that `npm ci` needs no compiler.

import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";

import { settings } from "./settings.mjs";

const DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** The tables of Better Auth and its jwt plugin, as its memory adapter wants them. */
export const tables = { user: [], session: [], account: [], verification: [], jwks: [] };

// Signing keys are left out of the file: they are encrypted with the secret, and a file from before a change of
// secret would make every token request fail. New keys at each start do no harm, as the backend fetches them.
const KEPT = ["user", "session", "account"];

let saved = "";

export function load() {
  if (!settings.dataFile || !existsSync(settings.dataFile)) return;
  saved = readFileSync(settings.dataFile, "utf8");
  const kept = JSON.parse(saved, (_, value) => (typeof value === "string" && DATE.test(value) ? new Date(value) : value));
  for (const name of KEPT) tables[name] = kept[name] ?? [];
}

export function save() {
  if (!settings.dataFile) return;
  const text = JSON.stringify(Object.fromEntries(KEPT.map((name) => [name, tables[name]])));
  if (text === saved) return;
  // Written beside it and moved, so that an interruption leaves the old file whole.
  const draft = `${settings.dataFile}.new`;
  writeFileSync(draft, text, { mode: 0o600 });
  renameSync(draft, settings.dataFile);
  saved = text;
}
