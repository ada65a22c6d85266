/** Whether all of `wanted` is in `found`, as the server keeps it: trimmed, sorted, moments in UTC. */
export function same(wanted: object, found: object): boolean {
  return Object.entries(wanted).every(([field, value]) => sameValue(field, value, (found as Record<string, unknown>)[field]));
}

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
