// Runs the tests that tsc has compiled into build/, or those whose names are given, on one migrated database to copy.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = new URL("../../", import.meta.url).pathname;
const build = new URL("../build/", import.meta.url).pathname;
const python = process.env.PYTHON ?? join(root, ".venv/bin/python");
const folder = mkdtempSync(join(tmpdir(), "todolist-client-"));
const migrated = join(folder, "migrated.sqlite3");

const asked = process.argv.slice(2);
const files = readdirSync(build).filter((name) => name.endsWith(".test.js") && (asked.length === 0 || asked.some((one) => name.startsWith(one))));

function run(command, words, options) {
  const { status } = spawnSync(command, words, { stdio: "inherit", ...options });
  if (status !== 0) process.exitCode = 1;
  return status === 0;
}

try {
  const secret = "only-to-migrate-0123456789-abcdefghij-KLMNOPQRST";
  const environment = { PATH: process.env.PATH, DEBUG: "True", SECRET_KEY: secret, BETTER_AUTH_SECRET: secret, DATABASE_URL: `sqlite:///${migrated}`, REDIS_URL: "" };
  if (run(python, ["manage.py", "migrate", "--verbosity", "0"], { cwd: root, env: environment })) {
    // Node.js 20 has a WebSocket, and shows it when asked; later ones show it anyway.
    const websocket = globalThis.WebSocket ? [] : ["--experimental-websocket", "--disable-warning=ExperimentalWarning"];
    const options = ["--test", "--test-concurrency=3", "--test-force-exit", `--test-timeout=${(Number(process.env.SECONDS ?? 0) + 300) * 1000}`, "--test-reporter=spec", ...websocket];
    run(process.execPath, [...options, ...files.map((name) => join(build, name))], { env: { ...process.env, MIGRATED: migrated } });
  }
} finally {
  rmSync(folder, { recursive: true });
}
