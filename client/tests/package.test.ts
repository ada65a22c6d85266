// What the package promises of itself.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";

const folder = new URL("../", import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, folder), "utf8");

test("types are those of the documents of the API", () => {
  execFileSync(process.execPath, ["scripts/schema.mjs", "--check"], { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
});

test("every code of the documentation is a code of the client, and the other way round", () => {
  const [ofServer] = read("src/errors.ts").split("// of this client");
  const known = [...ofServer!.matchAll(/\| "(\w+)"/g)].map(([, code]) => code);
  const page = read("../docs/api.md");
  const documented = [...page.matchAll(/"code": "(\w+)"/g), ...page.matchAll(/^\| `(\w+)` \| [45]\d\d \| `/gm)].map(([, code]) => code);
  assert.deepEqual(known, [...new Set(documented)].sort());
});

test("the core is at most 12 kB, minified and compressed, and imports nothing", async (t) => {
  const made = await build({ entryPoints: [new URL("dist/index.js", folder).pathname], bundle: true, minify: true, format: "esm", write: false, metafile: true });
  const { length } = gzipSync(made.outputFiles[0]!.contents, { level: 9 });
  t.diagnostic(`the core is ${length} bytes, minified and compressed`);
  assert(length <= 12_000, `${length} bytes`);
  assert.deepEqual(Object.keys(made.metafile.inputs).filter((name) => name.includes("node_modules")), []);
  assert.equal((JSON.parse(read("package.json")) as { dependencies?: object }).dependencies, undefined);
});

test("codes by which the socket closes are those of the AsyncAPI document", () => {
  const { channels } = JSON.parse(read("../docs/asyncapi.json")) as { channels: { notifications: { "x-close-codes": { name: string; code: number; reason: string }[] } } };
  const codes = new Map(channels.notifications["x-close-codes"].map(({ name, code, reason }) => [name, { code, reason }]));
  const known = Object.fromEntries([...read("src/live/live.ts").matchAll(/^const (\w+) = (4\d\d\d);/gm)].map(([, name, code]) => [name, Number(code)]));
  assert.deepEqual(known, { UNAUTHORIZED: codes.get("unauthorized")?.code, TOO_MANY: codes.get("too_many")?.code, TRY_AGAIN: codes.get("try_again_later")?.code });
  assert.equal(codes.get("erased")?.reason, "Erased");
});

test("what docs/client.md shows compiles", () => {
  const blocks = [...read("../docs/client.md").matchAll(/^```tsx?\n(.*?)^```/gms)].map(([, code]) => code!);
  assert(blocks.length >= 5);
  const made = new URL("build/docs/", folder);
  mkdirSync(made, { recursive: true });
  blocks.forEach((code, index) => writeFileSync(new URL(`${index}.tsx`, made), code));
  const options = { noEmit: true, rootDir: ".", types: [] as string[], noUnusedLocals: false };
  writeFileSync(new URL("tsconfig.json", made), JSON.stringify({ extends: "../../tests/tsconfig.json", compilerOptions: options, include: ["."], exclude: [] }));
  execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "build/docs/tsconfig.json"], { cwd: folder, stdio: ["ignore", "inherit", "inherit"] });
});

test("what is packed is what is built, and nothing else", () => {
  const [packed] = JSON.parse(execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })) as [{ files: { path: string }[] }];
  const paths = packed.files.map(({ path }) => path);
  assert(paths.includes("dist/index.d.ts") && paths.includes("dist/react/index.js") && paths.includes("dist/query/index.js"));
  assert.deepEqual(paths.filter((path) => !path.startsWith("dist/")), ["package.json"]);
});
