// A real server of this repository, in a process of its own, on a database of its own.

import { spawn, type ChildProcess } from "node:child_process";
import { createHmac, randomUUID } from "node:crypto";
import { copyFileSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";

const ROOT = new URL("../../../", import.meta.url).pathname;
const PYTHON = process.env["PYTHON"] ?? join(ROOT, ".venv/bin/python");
const SECRET = "only-the-tests-of-the-client-know-7Qm2ZtVx4KpW9sLd";
export const PAGE = "https://app.example.com";

// Complete, so that neither a `.env` nor the shell of whoever runs this has a say.
const ENVIRONMENT = {
  PATH: process.env["PATH"],
  HOME: process.env["HOME"],
  ...Object.fromEntries(
    ["BETTER_AUTH_SECRETS", "BETTER_AUTH_URL", "BETTER_AUTH_JWKS_URL", "BETTER_AUTH_ISSUER", "BETTER_AUTH_AUDIENCE", "REDIS_URL", "DEBUG", "METRICS", "VAPID_PRIVATE_KEY", "VAPID_SUBJECT"].map((name) => [name, ""]),
  ),
  SECRET_KEY: "only-the-tests-of-the-client-have-p9Wq2LxT7vRb4NzC8mYs1KdG",
  BETTER_AUTH_SECRET: SECRET,
  ALLOWED_HOSTS: "127.0.0.1",
};

export function newPerson(): string {
  return `person-${randomUUID()}`;
}

/** A really signed token, good for an hour unless told otherwise. `ago`: seconds since it was made. */
export function sign(sub: string, { seconds = 3600, ago = 0, secret = SECRET } = {}): string {
  const iat = Math.floor(Date.now() / 1000) - ago;
  const parts = [{ alg: "HS256", typ: "JWT" }, { sub, iat, exp: iat + seconds, jti: randomUUID() }];
  const text = parts.map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
}

export class Server {
  readonly #folder = mkdtempSync(join(tmpdir(), "todolist-client-"));
  readonly #log = join(this.#folder, "server.log");
  readonly #database: string;
  readonly #environment: Record<string, string>;
  #process: ChildProcess | null = null;

  private constructor(
    readonly port: number,
    environment: Record<string, string>,
  ) {
    const file = join(this.#folder, "db.sqlite3");
    this.#database = process.env["CLIENT_DATABASE_URL"] ?? `sqlite:///${file}`;
    this.#environment = environment;
    const migrated = process.env["MIGRATED"]; // by whoever started the tests, once for all of them
    if (migrated && this.#database.startsWith("sqlite")) copyFileSync(migrated, file);
  }

  static async start(environment: Record<string, string> = {}): Promise<Server> {
    const server = new Server(await freePort(), environment);
    await server.manage("migrate", "--verbosity", "0");
    await server.start();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const started = (this.#process = this.#run("serve", `127.0.0.1:${this.port}`, "--drain", "0"));
    // Also where a test has failed, and nobody stops it.
    process.once("exit", () => started.kill("SIGKILL"));
    for (const end = Date.now() + 30_000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 50))) {
      if (started.exitCode !== null) break;
      const answer = await fetch(`${this.url}/health/live`).catch(() => null);
      if (answer?.ok) return;
    }
    throw new Error(`The server did not start:\n${readFileSync(this.#log, "utf8").slice(-4000)}`);
  }

  /** SIGKILL leaves the server no time for anything; SIGSTOP freezes it until SIGCONT. */
  async signal(name: "SIGTERM" | "SIGKILL" | "SIGSTOP" | "SIGCONT"): Promise<void> {
    const running = this.#process!;
    running.kill(name);
    if (name === "SIGSTOP" || name === "SIGCONT") return;
    if (running.exitCode === null && running.signalCode === null) await once(running, "exit");
  }

  async stop(): Promise<void> {
    if (this.#process?.exitCode === null && this.#process.signalCode === null) {
      await this.signal("SIGCONT");
      await this.signal("SIGTERM");
    }
    rmSync(this.#folder, { recursive: true });
  }

  async manage(...words: string[]): Promise<void> {
    const [code] = (await once(this.#run(...words), "exit")) as [number | null];
    if (code !== 0) throw new Error(`manage.py ${words[0]} failed:\n${readFileSync(this.#log, "utf8").slice(-4000)}`);
  }

  #run(...words: string[]): ChildProcess {
    const log = openSync(this.#log, "a");
    return spawn(PYTHON, ["manage.py", ...words], {
      cwd: ROOT,
      env: { ...ENVIRONMENT, CORS_ORIGINS: PAGE, DATABASE_URL: this.#database, ...this.#environment },
      stdio: ["ignore", log, log],
    });
  }
}

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, "close");
  return port;
}
