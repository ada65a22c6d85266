// Serves Better Auth, the token route and the page, with nothing but node:http.

import { readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:http";
import { extname } from "node:path";

import { toNodeHandler } from "better-auth/node";

import { auth } from "./auth.mjs";
import { settings } from "./settings.mjs";
import * as store from "./store.mjs";
import * as tokenRoute from "./token-route.mjs";

const TYPES = { ".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml" };

// Parts of the client for those who have React or TanStack Query.
const OTHERS = /^(react|query)\b/;

// What the page is made of, the client included, as it was built. Only these files are ever opened, so no path in a
// request leads to another one.
const FILES = new Map([
  ...filesOf(new URL("./public/", import.meta.url), "/"),
  ...filesOf(new URL(".", import.meta.resolve("todolist-client")), "/client/"),
]);

/** @returns {[string, URL][]} path → file */
function filesOf(folder, prefix) {
  const names = readdirSync(folder, { recursive: true }).filter((name) => extname(name) in TYPES && !OTHERS.test(name));
  return names.map((name) => [prefix + name.replaceAll("\\", "/"), new URL(name, folder)]);
}

const PAGE_HEADERS = {
  // Nothing but our own files, and no connection but to here and to the backend: a script that slipped into the page
  // could not be run, nor send a token elsewhere.
  "Content-Security-Policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "worker-src 'self'",
    `connect-src 'self' ${settings.apiURL} ${settings.apiURL.replace(/^http/, "ws")}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; "),
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cache-Control": "no-cache",
};

const PAGE_DATA = {
  // What the page has to know; the rest of the settings stays here.
  "/config.json": {
    api: settings.apiURL,
    token: settings.tokenMode === "jwks" ? "/api/auth/token" : "/api/token",
  },
  // What the browser keeps, so that the page comes up without a connection.
  "/files.json": ["/", "/config.json", ...FILES.keys()].filter((path) => !["/index.html", "/offline.js"].includes(path)),
};

const betterAuth = toNodeHandler(auth);

/** @type {import("node:http").RequestListener} */
async function handle(request, response) {
  const { pathname } = new URL(request.url ?? "/", settings.baseURL);

  if (pathname.startsWith("/api/auth/")) {
    // The handler fills the response by itself; what it changed is on disk when the answer is complete.
    response.once("finish", store.save);
    return betterAuth(request, response);
  }
  if (request.method !== "GET" && request.method !== "HEAD") return answer(response, 405, { Allow: "GET, HEAD" });
  if (pathname === "/api/token" && settings.tokenMode === "secret") {
    return relay(await tokenRoute.GET(webRequest(request)), response);
  }
  // The backend lets in the origin of baseURL alone, so 127.0.0.1 in place of localhost would fail in a puzzling way.
  if (request.headers.host !== new URL(settings.baseURL).host) {
    return answer(response, 307, { Location: settings.baseURL + pathname });
  }
  if (pathname in PAGE_DATA) {
    return answer(response, 200, { ...PAGE_HEADERS, "Content-Type": "application/json" }, JSON.stringify(PAGE_DATA[pathname]));
  }
  const name = pathname === "/" ? "/index.html" : pathname;
  const file = FILES.get(name);
  if (!file) return answer(response, 404, { "Content-Type": "text/plain" }, "Not found\n");
  const type = `${TYPES[extname(name)]}; charset=utf-8`;
  answer(response, 200, { ...PAGE_HEADERS, "Content-Type": type }, readFileSync(file));
}

/** The request in the form that a route of Next.js gets. */
function webRequest(request) {
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) headers.set(name, String(value));
  return new Request(new URL(request.url ?? "/", settings.baseURL), { headers });
}

/** @param {Response} from @param {import("node:http").ServerResponse} to */
async function relay(from, to) {
  answer(to, from.status, Object.fromEntries(from.headers), await from.text());
}

function answer(response, status, headers = {}, body = "") {
  response.writeHead(status, headers).end(body);
}

store.load();

const server = createServer((request, response) => {
  handle(request, response).catch((error) => {
    console.error(error);
    if (!response.headersSent) answer(response, 500);
    else response.destroy();
  });
});

server.listen(settings.port, settings.host, () => {
  console.log(`Demo at ${settings.baseURL} (tokens: ${settings.tokenMode}), backend at ${settings.apiURL}`);
});

// Open keep-alive connections would hold the process back for seconds.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(0));
