import { TodolistError } from "../../errors.js";
import type { Todolist } from "../../index.js";
import type { Resource } from "../../rest/resources.js";
import type { Fields, Kind, Operation, Thing } from "../kinds.js";

// Whoever plays operations tries again by itself.
const ONCE = { tries: 1 };

type Any = Resource<Thing & { version: number }, Fields & { id?: string }, Fields, object>;

/** The calls to the server that operations come to, whatever they are about. */
export class Sender {
  constructor(private readonly todolist: Todolist) {}

  create(kind: Kind, body: Fields & { id: string }): Promise<Thing> {
    return this.#of(kind).create(body, ONCE);
  }

  async change(kind: Kind, id: string, body: Fields, version: number): Promise<Thing> {
    const options = { ...ONCE, version };
    if (kind === "preferences") return asThing(await this.todolist.preferences.change(body, options));
    return this.#of(kind).change(id, body, options);
  }

  remove(kind: Kind, id: string, version: number): Promise<void> {
    return this.#of(kind).remove(id, { ...ONCE, version });
  }

  async find(kind: Kind, id: string): Promise<Thing | null> {
    if (kind === "preferences") return asThing(await this.todolist.preferences.get(ONCE));
    return unlessGone(this.#of(kind).get(id, ONCE));
  }

  /** Back from the trash, or as it is where it is there; null where it is gone for good. */
  async restore(id: string): Promise<Thing | null> {
    const back = await unlessGone(this.todolist.trash.restore(id, ONCE));
    return back ? asThing(back) : this.find("task", id);
  }

  async once({ kind, target, what, body }: Operation): Promise<Thing | null> {
    if (what === "restore") return this.restore(target);
    if (what === "read") return unlessGone(this.todolist.notifications.read(target, ONCE).then(asThing));
    return unlessGone(this.#of(kind).move(target, body as never, ONCE), "invalid");
  }

  #of(kind: Kind): Any {
    return this.todolist[`${kind}s` as "tasks"] as unknown as Any;
  }
}

function asThing(thing: object): Thing {
  return thing as Thing;
}

async function unlessGone(call: Promise<object>, ...codes: string[]): Promise<Thing | null> {
  try {
    return asThing(await call);
  } catch (error) {
    if (error instanceof TodolistError && ["not_found", ...codes].includes(error.code)) return null;
    throw error;
  }
}
