import type { LiveEvent, Position } from "../types.js";
import { PREFERENCES, versionOf, type Kind, type Thing } from "./kinds.js";
import type { Records } from "./records.js";

/**
 * What the server has, as of one event. Events alone change it, in their order, after the lists that they go on from: no
 * answer to a call does, so a late one cannot bring back what is deleted, nor an older state.
 */
export class ServerState {
  constructor(private readonly records: Records) {}

  get position(): Position | null {
    return this.records.table("meta").get("position") ?? null;
  }

  get(kind: Kind, id: string): Thing | undefined {
    return this.records.table(kind).get(id);
  }

  /** @returns what the event is about */
  apply({ seq, type, data }: LiveEvent): { kind: Kind; id: string } {
    const [kind, verb] = type.split(".") as [Kind, string];
    const thing = data as unknown as Thing;
    const id = thing.id ?? PREFERENCES;
    const known = this.get(kind, id);
    if (verb === "deleted" || verb === "withdrawn") this.records.delete(kind, id);
    // The lists may have been read after this event.
    else if (!known || versionOf(thing) > versionOf(known)) this.records.set(kind, id, thing);
    this.records.set("meta", "position", { ...this.position!, seq });
    return { kind, id };
  }

  /** Takes lists that were fetched in place of all that was known. */
  replace(position: Position, lists: Record<Kind, Thing[]>): void {
    for (const [kind, things] of Object.entries(lists) as [Kind, Thing[]][]) {
      const found = new Map(things.map((thing) => [thing.id ?? PREFERENCES, thing]));
      for (const id of [...this.records.table(kind).keys()]) if (!found.has(id)) this.records.delete(kind, id);
      for (const [id, thing] of found) this.records.set(kind, id, thing);
    }
    this.records.set("meta", "position", position);
  }
}
