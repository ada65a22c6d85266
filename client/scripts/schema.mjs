// Makes src/schema.ts of docs/openapi.json and docs/asyncapi.json; with --check it only says whether that file is as it would be made.

import { readFileSync, writeFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";

const read = (path) => readFileSync(new URL(path, import.meta.url), "utf8");
const rest = JSON.parse(read("../../docs/openapi.json"));
const socket = JSON.parse(read("../../docs/asyncapi.json"));

// Of the operations the client uses the parameters of lists; bodies and answers are schemas with names of their own.
const paths = {};
for (const [path, methods] of Object.entries(rest.paths)) {
  const { operationId, parameters = [] } = methods.get ?? {};
  const query = parameters.filter((one) => one.in === "query");
  if (query.length > 0) paths[path] = { get: { operationId, parameters: query, responses: {} } };
}

// Messages of the socket, as one type for each side.
const operations = Object.values(socket.operations);
const received = operations.filter(({ action }) => action === "receive");
const sent = operations.filter(({ action }) => action === "send");
const union = (parts) => {
  const names = parts.flatMap(({ messages }) => messages).map(({ $ref }) => $ref.split("/").at(-1));
  return { oneOf: [...new Set(names)].sort().map((name) => ({ $ref: `#/components/schemas/${name}` })) };
};

const document = {
  openapi: rest.openapi,
  info: rest.info,
  paths,
  components: {
    schemas: {
      ...socket.components.schemas,
      ...rest.components.schemas,
      ClientMessage: union(received),
      ServerMessage: union([...sent, ...received.flatMap(({ reply }) => reply ?? [])]),
    },
  },
};
const types = await openapiTS(document, { alphabetize: true });
const text = `// Generated from docs/openapi.json and docs/asyncapi.json by \`npm run schema\`. Do not edit.\n\n${astToString(types)}`;

if (!process.argv.includes("--check")) {
  writeFileSync(new URL("../src/schema.ts", import.meta.url), text);
} else if (read("../src/schema.ts") !== text) {
  console.error("src/schema.ts is not what docs/openapi.json and docs/asyncapi.json say: run `make client-schema`.");
  process.exit(1);
}
