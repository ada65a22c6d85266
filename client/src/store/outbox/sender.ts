import { unlessGone } from "../../errors.js";
import type { Todolist } from "../../index.js";
import type { CallOptions } from "../../rest/http.js";
import type { Resource } from "../../rest/resources.js";
import type { Fields, Kind, Operation, Thing } from "../kinds.js";

type Any = Resource<Thing & { version: number }, Fields & { id?: string }, Fields, object>;

/** The calls to the server that operations come to, whatever they are about. */
export class Sender {
  constructor(
    private readonly todolist: Todolist,
    private readonly options: CallOptions,
  ) {}

  create(kind: Kind, body: Fields & { id: string }): Promise<Thing> {
    return this.#of(kind).create(body, this.options);
  }

  async change(kind: Kind, id: string, body: Fields, version: number): Promise<Thing> {
    const options = { ...this.options, version };
    if (kind === "preferences") return asThing(await this.todolist.preferences.change(body, options));
    return this.#of(kind).change(id, body, options);
  }

  remove(kind: Kind, id: string, version: number): Promise<void> {
    return this.#of(kind).remove(id, { ...this.options, version });
  }

  async find(kind: Kind, id: string): Promise<Thing | null> {
    if (kind === "preferences") return asThing(await this.todolist.preferences.get(this.options));
    return unlessGone(this.#of(kind).get(id, this.options));
  }

  /** Back from the trash, or as it is where it is there; null where it is gone for good. */
  async restore(id: string): Promise<Thing | null> {
    const back = await unlessGone(this.todolist.trash.restore(id, this.options));
    return back ? asThing(back) : this.find("task", id);
  }

  async once({ kind, target, what, body }: Operation): Promise<Thing | null> {
    if (what === "restore") return this.restore(target);
    if (what === "read") return unlessGone(this.todolist.notifications.read(target, this.options).then(asThing));
    return unlessGone(this.#of(kind).move(target, body as never, this.options), "invalid");
  }

  #of(kind: Kind): Any {
    return this.todolist[`${kind}s` as "tasks"] as unknown as Any;
  }
}

function asThing(thing: object): Thing {
  return thing as Thing;
}
