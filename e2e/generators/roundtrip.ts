// Reads answers of a real server, `[{"schema", "body"}]`, from its input: each has to be exactly what its zod schema has.

import { isDeepStrictEqual } from "node:util";
import { readFileSync } from "node:fs";

import type { ZodType } from "zod";

import * as made from "./made/client/zod.gen.js";

const schemas = made as unknown as Record<string, ZodType | undefined>;
const answers: { schema: string; body: unknown }[] = JSON.parse(readFileSync(0, "utf8"));

for (const { schema, body } of answers) {
  const known = schemas[schema];
  if (known === undefined) throw new Error(`There is no ${schema}`);
  const { data, error } = known.safeParse(body);
  if (error) throw new Error(`${schema}: ${error.message} in ${JSON.stringify(body)}`);
  // What a schema does not know it leaves out.
  if (!isDeepStrictEqual(data, body)) throw new Error(`${schema}: more in ${JSON.stringify(body)}`);
}
console.log(answers.length);
