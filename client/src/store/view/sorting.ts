import { compareMoments } from "../../moments.js";
import type { Fields, Kind, Operation, Thing } from "../kinds.js";

/** Sorts as the server lists, then moves what was moved here. */
export function placed(kind: Kind, things: Thing[], moves: Operation[]): readonly Thing[] {
  things.sort(kind === "notification" ? newestFirst : byPosition);
  for (const { target, body } of moves) move(things, target, body);
  return Object.freeze(things);
}

function move(things: Thing[], id: string, { after, before, to }: Fields): void {
  const from = things.findIndex((one) => one.id === id);
  if (from < 0) return;
  const [thing] = things.splice(from, 1) as [Thing];
  const beside = things.findIndex((one) => one.id === (after ?? before));
  const index = to === "top" ? 0 : to === "bottom" ? things.length : beside < 0 ? from : after ? beside + 1 : beside;
  things.splice(index, 0, thing);
}

function byPosition(one: Thing, other: Thing): number {
  const [a, b] = [one["position"] as string, other["position"] as string];
  if (a !== b) return a < b ? -1 : 1;
  // What the server does not know yet has none, and the newest stands at the top.
  return a === "" ? byId(other, one) : byId(one, other);
}

function newestFirst(one: Thing, other: Thing): number {
  return compareMoments(other["created_at"] as string, one["created_at"] as string) || byId(other, one);
}

function byId(one: Thing, other: Thing): number {
  return one.id < other.id ? -1 : 1;
}
