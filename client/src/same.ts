/** Whether `found` is what a change of this version made: the next one, with all of `body` as the server keeps it. */
export function madeBy(body: object, version: number, found: object): boolean {
  const fields = found as Record<string, unknown>;
  return fields["version"] === version + 1 && Object.entries(body).every(([field, value]) => sameValue(field, value, fields[field]));
}

/** Whether the server keeps both as one: trimmed, sorted, moments in UTC. */
export function sameValue(field: string, one: unknown, other: unknown): boolean {
  return JSON.stringify(kept(field, one)) === JSON.stringify(kept(field, other));
}

function kept(field: string, value: unknown): unknown {
  if (field === "deadline" && typeof value === "string") return moment(value);
  if (field === "color" && typeof value === "string") return value.toLowerCase();
  if (typeof value === "string") return value.replace(/\r\n?/g, "\n").trim();
  if (Array.isArray(value)) return [...new Set(value as string[])].sort();
  return value;
}

function moment(value: string): unknown {
  const time = Date.parse(/([Zz]|[+-]\d\d:?\d\d)$/.test(value) ? value : `${value}Z`);
  return Number.isNaN(time) ? value : time;
}
