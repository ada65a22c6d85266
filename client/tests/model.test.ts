// Three devices of one person, one of them with two tabs: whatever happens to lines, pages, tokens and the server, in the end
// all of them agree with the server, nothing that was typed is lost and nothing is there twice.

import assert from "node:assert/strict";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";

import { createTodolist, memoryStorage, openStore, type Store } from "todolist-client";

import { provideLocks } from "./support/locks.js";
import { Chance, Ledger, act, history, whatIsShown, whatIsThere } from "./support/model.js";
import { Line } from "./support/proxy.js";
import { Server, newPerson, sign } from "./support/server.js";
import { sleep, until } from "./support/wait.js";

const SECONDS = Number(process.env["SECONDS"] ?? 8);
const SEED = Number(process.env["SEED"] ?? Math.floor(Math.random() * 1e9));
const ROUND = 20; // seconds, after which all of it is compared

provideLocks();

class Device {
  readonly storage = memoryStorage();
  readonly tabs: Store[] = [];

  constructor(
    readonly name: string,
    readonly person: string,
    readonly line: Line,
    tabs: number,
  ) {
    while (this.tabs.length < tabs) this.tabs.push(this.#open());
  }

  async reload(tab: number): Promise<void> {
    const before = this.tabs[tab]!;
    // A tab that follows hands over what was done in it, which takes a moment.
    if (!before.status().leading) await before.saved();
    before.close();
    await before.saved();
    this.tabs[tab] = this.#open();
  }

  close(): void {
    for (const tab of this.tabs) tab.close();
    this.line.close();
  }

  #open(): Store {
    const todolist = createTodolist({ url: this.line.url, token: () => sign(this.person, { seconds: 4 }) });
    return openStore(todolist, { user: this.person, storage: this.storage, tabs: true });
  }
}

interface Round {
  server: Server;
  chance: Chance;
  log: (line: string) => void;
}

async function play({ server, chance, log }: Round, seconds: number): Promise<void> {
  const person = newPerson();
  const ledger = new Ledger();
  const devices = await Promise.all(["a", "b", "c"].map(async (name, index) => new Device(name, person, await Line.to(server.port), index === 0 ? 2 : 1)));
  let restarting: Promise<unknown> = Promise.resolve();
  let restarts = 0;
  let anew = false;
  const counts = { reloads: 0, cuts: 0, steps: 0 };
  const begun = Date.now();
  const passed = (): number => (Date.now() - begun) / 1000;
  while (passed() < seconds) {
    counts.steps += 1;
    const device = chance.one(devices)!;
    const tab = chance.below(device.tabs.length);
    act(device.tabs[tab]!, device.name, chance, ledger);
    const fate = chance.below(100);
    if (fate < 8) device.line.set(chance.one(["cut", "deaf", "frozen", "calls"])!);
    else if (fate < 24) device.line.set("open");
    else if (fate < 28) device.line.drop();
    else if (fate < 31) await device.reload(tab);
    if (fate < 28) counts.cuts += 1;
    else if (fate < 31) counts.reloads += 1;
    if (passed() > (restarts + 0.5) * 8) {
      restarts += 1;
      restarting = restarting.then(() => server.signal("SIGKILL")).then(() => server.start());
    }
    if (!anew && passed() > 12) {
      anew = true; // as after a backup was restored
      restarting = restarting.then(() => server.manage("new_epoch"));
    }
    await sleep(chance.below(60));
  }
  await restarting;
  for (const { line, tabs } of devices) {
    line.set("open");
    for (const tab of tabs) tab.reconnect();
  }
  const stores = devices.flatMap(({ tabs }) => tabs);
  const states = (): string => JSON.stringify(stores.map((store) => store.status()));
  const beyond = createTodolist({ url: server.url, token: () => sign(person) });
  await until(() => stores.every((store) => store.status().pending === 0 && store.status().state === "live"), "played", 60).catch((error: Error) => assert.fail(`${error.message}: ${states()}`));
  const list = beyond.tasks.list();
  await list.all();
  const there = await whatIsThere(beyond);
  const { trash, ...live } = there;
  for (const store of stores) {
    await until(() => isDeepStrictEqual(whatIsShown(store), live), "agreed", 10).catch(() => assert.deepEqual(differences(whatIsShown(store), live), []));
  }
  const conflicts = devices.flatMap(({ tabs }) => tabs[0]!.conflicts());
  const events = await history(beyond, list.position!);
  for (const event of events) ledger.note("event", event);
  for (const conflict of conflicts) ledger.note("conflict", conflict);
  ledger.check({ ...live, trash }, conflicts, events);
  const told = ["changed", "kept", "deleted", "refused"].map((what) => `${conflicts.filter((one) => one.what === what).length} ${what}`);
  log(`${counts.steps} steps, ${ledger.size} texts, ${counts.cuts} changes of lines, ${counts.reloads} reloads, ${restarts} kills; ${live.tasks.length} tasks, ${trash.length} in the trash; conflicts: ${told.join(", ")}`);
  for (const device of devices) device.close();
}

/** What is shown and not there, or there and not shown, kind by kind. */
function differences(shown: object, there: object): unknown[] {
  return Object.entries(shown).flatMap(([kind, things]) => {
    const [ours, theirs] = [things, (there as Record<string, unknown>)[kind]].map((some) => [some].flat().map((one) => JSON.stringify(one)));
    return [...ours!.filter((one) => !theirs!.includes(one)).map((one) => `shown: ${one}`), ...theirs!.filter((one) => !ours!.includes(one)).map((one) => `there: ${one}`)];
  });
}

test(`whatever happens, all agree and nothing is lost or doubled (SEED=${SEED}, SECONDS=${SECONDS})`, { timeout: (SECONDS + 300) * 1000 }, async (t) => {
  const server = await Server.start({ SOCKETS_PER_USER: "100" });
  const log = (line: string): void => {
    t.diagnostic(line);
    if (SECONDS > ROUND) console.log(line);
  };
  for (let begun = Date.now(), round = 0; round === 0 || Date.now() - begun < SECONDS * 1000; round++) {
    await play({ server, chance: new Chance(SEED + round), log }, Math.min(SECONDS, ROUND));
  }
  await server.stop();
});
