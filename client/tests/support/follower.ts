import { earliest, type Live, type LiveEvent, type LiveOptions, type Todolist } from "todolist-client";

import { until } from "./wait.js";

/** Follows the tasks of somebody, as an application does that has no store. */
export class Follower {
  readonly tasks = new Map<string, string>();
  readonly events: LiveEvent[] = [];
  readonly states: string[] = [];
  loads = 0;
  readonly live: Live;

  constructor(
    private readonly todolist: Todolist,
    options: Partial<LiveOptions> = {},
  ) {
    this.live = todolist.live({ load: () => this.#load(), event: (event) => this.#event(event), state: (state, reason) => this.states.push(reason ? `${state}: ${reason}` : state), ...options });
  }

  get texts(): string[] {
    return [...this.tasks.values()].sort();
  }

  state(wanted: string, seconds = 10): Promise<unknown> {
    return until(() => this.states.at(-1) === wanted, `${wanted}, instead of ${this.states.join(", ")}`, seconds);
  }

  has(...texts: string[]): Promise<unknown> {
    return until(() => this.texts.join() === texts.sort().join(), `${texts.join()}, instead of ${this.texts.join()}`);
  }

  async #load() {
    this.loads += 1;
    const list = this.todolist.tasks.list({ limit: 2 });
    this.tasks.clear();
    for await (const { id, text } of list) this.tasks.set(id, text);
    return earliest(list);
  }

  #event(event: LiveEvent): void {
    this.events.push(event);
    if (event.type === "task.deleted") this.tasks.delete(event.data.id);
    else if (event.type === "task.created" || event.type === "task.updated") this.tasks.set(event.data.id, event.data.text);
  }
}
