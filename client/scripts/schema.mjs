// Makes src/schema.ts of the server's OpenAPI document; with --check it only says whether that file is as it would be made.

import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";

const root = new URL("../../", import.meta.url);
const file = new URL("../src/schema.ts", import.meta.url);
const python = process.env.PYTHON ?? new URL(".venv/bin/python", root).pathname;
const secret = () => randomBytes(32).toString("base64url");

const document = JSON.parse(
  execFileSync(python, ["manage.py", "spectacular", "--format", "openapi-json"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 2 ** 26,
    // Web Push is part of the document where there is a key for it.
    env: { PATH: process.env.PATH, DEBUG: "True", SECRET_KEY: secret(), BETTER_AUTH_SECRET: secret(), VAPID_PRIVATE_KEY: secret(), VAPID_SUBJECT: "mailto:somebody@example.com" },
  }),
);

// Of the operations the client uses the parameters of lists; bodies and answers are schemas with names of their own.
const paths = {};
for (const [path, methods] of Object.entries(document.paths)) {
  const { operationId, parameters = [] } = methods.get ?? {};
  const query = parameters.filter((one) => one.in === "query");
  if (query.length > 0) paths[path] = { get: { operationId, parameters: query, responses: {} } };
}
const { schemas } = document.components;
const types = await openapiTS({ openapi: document.openapi, info: document.info, paths, components: { schemas } }, { alphabetize: true });
const text = `// Generated from the OpenAPI document of the server by \`npm run schema\`. Do not edit.\n\n${astToString(types)}`;

if (!process.argv.includes("--check")) {
  writeFileSync(file, text);
} else if (readFileSync(file, "utf8") !== text) {
  console.error("src/schema.ts is not what the server's OpenAPI document says: run `npm run schema` in client/.");
  process.exit(1);
}
