import { sameValue } from "../../same.js";
import { TYPED, type Fields } from "../kinds.js";

export interface Merged {
  /** What is left to be sent. */
  body: Fields;
  /** The fields that both sides have changed. */
  both: string[];
}

/** A change that was made upon what was `seen`, for what the server has by now. */
export function merge(body: Fields, seen: Fields, theirs: Fields): Merged {
  const merged: Merged = { body: {}, both: [] };
  for (const [field, mine] of Object.entries(body)) {
    if (sameValue(field, mine, theirs[field])) continue;
    merged.body[field] = mine;
    if (sameValue(field, seen[field], theirs[field])) continue;
    if (field === "label_ids") merged.body[field] = mergedIds(mine, seen[field], theirs[field]);
    else merged.both.push(field);
  }
  return merged;
}

/** Whether what somebody typed is another text by now than the one that was seen. */
export function textChanged(seen: Fields, theirs: Fields): boolean {
  return TYPED.some((field) => field in seen && !sameValue(field, seen[field], theirs[field]));
}

/** What was added here and there, without what was taken away here or there. */
function mergedIds(mine: unknown, seen: unknown, theirs: unknown): string[] {
  const [ours, before, now] = [mine, seen, theirs].map((ids) => (ids ?? []) as string[]) as [string[], string[], string[]];
  return [...now.filter((id) => ours.includes(id) || !before.includes(id)), ...ours.filter((id) => !before.includes(id) && !now.includes(id))];
}
