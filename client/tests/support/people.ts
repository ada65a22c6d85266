import { createTodolist, memoryStorage, openStore, type Storage, type Store, type StoreOptions, type Task, type Todolist } from "todolist-client";

import { Line } from "./proxy.js";
import { newPerson, sign, type Server } from "./server.js";
import { until } from "./wait.js";

/** One device of a person: a line of its own, a storage that survives reloads, and a store upon it. */
export class Device {
  readonly storage: Storage = memoryStorage();
  store!: Store;
  todolist!: Todolist;

  private constructor(
    readonly person: string,
    readonly line: Line,
    private readonly seconds: number,
    private readonly options: StoreOptions,
  ) {
    this.open();
  }

  static async of(person: string, server: Server, { seconds = 3600, ...options }: { seconds?: number } & StoreOptions = {}): Promise<Device> {
    return new Device(person, await Line.to(server.port), seconds, options);
  }

  open(fetch?: typeof globalThis.fetch): void {
    const { person, seconds } = this;
    this.todolist = createTodolist({ url: this.line.url, token: () => sign(person, { seconds }), ...(fetch && { fetch }) });
    this.store = openStore(this.todolist, { user: person, storage: this.storage, ...this.options });
  }

  /** The page is loaded anew: whatever was only in memory is gone. Its calls go by `fetch`, where one is given. */
  async reload(fetch?: typeof globalThis.fetch): Promise<void> {
    this.store.close();
    await this.store.saved();
    this.open(fetch);
    // Before that nothing is known of what waits.
    await until(() => this.store.status().leading, "read");
  }

  loaded(): Promise<unknown> {
    return until(() => this.store.status().loaded && this.store.status().state === "live", "loaded");
  }

  /** Everything that was done here is done. */
  played(): Promise<unknown> {
    return until(() => this.store.status().pending === 0, `played: ${JSON.stringify(this.store.status())}`, 20);
  }

  get texts(): string[] {
    return this.store.tasks.all().map(({ text }) => text);
  }

  close(): void {
    this.store.close();
    this.line.close();
  }
}

/** A new person with one device, and a client of theirs that no line lies before. */
export async function somebody(server: Server): Promise<{ device: Device; beyond: Todolist; person: string }> {
  const person = newPerson();
  const beyond = createTodolist({ url: server.url, token: () => sign(person) });
  const device = await Device.of(person, server);
  await device.loaded();
  return { device, beyond, person };
}

export async function textsOf({ tasks }: Todolist): Promise<string[]> {
  return (await tasks.list({ ordering: "position" }).all()).map(({ text }) => text);
}

export async function taskOf({ tasks }: Todolist, text: string): Promise<Task> {
  const found = (await tasks.list().all()).filter((task) => task.text === text);
  if (found.length !== 1) throw new Error(`${found.length} tasks of the text ${text}`);
  return found[0]!;
}
