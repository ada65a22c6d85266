import "fake-indexeddb/auto";

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { createTodolist, indexedDBStorage, openStore, type Store } from "todolist-client";

import { provideLocks } from "./support/locks.js";
import { textsOf } from "./support/people.js";
import { Line } from "./support/proxy.js";
import { Server, newPerson, sign } from "./support/server.js";
import { until } from "./support/wait.js";

let server: Server;
provideLocks();
before(async () => void (server = await Server.start({ SOCKETS_PER_USER: "1" })));
after(() => server.stop());

const texts = (store: Store): string[] => store.tasks.all().map(({ text }) => text);

function tab(person: string, url = server.url): Store {
  return openStore(createTodolist({ url, token: () => sign(person) }), { user: person });
}

const shows = (store: Store, ...wanted: string[]): Promise<unknown> => until(() => texts(store).join() === wanted.join(), `${wanted.join()}, instead of ${texts(store).join()}`);

test("several tabs have one socket, one storage, and show the same", async () => {
  const person = newPerson();
  const [one, two, three] = [tab(person), tab(person), tab(person)];
  for (const store of [one, two, three]) await until(() => store.status().state === "live" && store.status().loaded, "live");
  assert.deepEqual([one, two, three].map((store) => store.status().leading), [true, false, false]);
  two.tasks.create({ text: "from two" });
  assert.deepEqual(texts(two), ["from two"]);
  for (const store of [one, two, three]) await shows(store, "from two");
  three.tasks.change(three.tasks.all()[0]!.id, { text: "by three" });
  for (const store of [one, two, three]) await shows(store, "by three");
  for (const store of [one, two, three]) await until(() => store.status().pending === 0, "played");
  for (const store of [one, two, three]) store.close();
});

test("where the tab that leads is closed, another one goes on, with what nobody had taken yet", async () => {
  const person = newPerson();
  const line = await Line.to(server.port);
  const [one, two, three] = [tab(person, line.url), tab(person, line.url), tab(person, line.url)];
  await until(() => three.status().loaded && two.status().loaded && two.status().state === "live", "loaded");
  line.set("cut");
  one.tasks.create({ text: "by one" });
  await shows(two, "by one");
  await one.saved();
  one.close();
  two.tasks.create({ text: "by two" }); // nobody leads at this moment
  await new Promise((resolve) => setTimeout(resolve, 2));
  three.tasks.create({ text: "by three" });
  await until(() => two.status().leading, "leading");
  await three.saved();
  for (const store of [two, three]) await shows(store, "by three", "by two", "by one");
  line.set("open");
  await until(() => two.status().pending === 0, "played", 20);
  const beyond = createTodolist({ url: server.url, token: () => sign(person) });
  assert.deepEqual(await textsOf(beyond), ["by three", "by two", "by one"]);
  three.close();
  two.close();
  // What IndexedDB holds is there without a connection, before anything else.
  line.set("cut");
  const again = tab(person, line.url);
  await shows(again, "by three", "by two", "by one");
  assert(again.status().loaded && again.status().state !== "live");
  const other = tab(person, line.url);
  await shows(other, "by three", "by two", "by one");
  await other.forget();
  await until(() => texts(again).length === 0, "forgotten everywhere");
  assert.deepEqual([again, other].map((store) => store.status().state), ["closed", "closed"]);
  line.close();
});

test("IndexedDB keeps all of a batch, in order, and drops what is gone", async () => {
  const storage = indexedDBStorage("a test");
  await Promise.all([storage.write([["task", "1", { a: 1 }], ["task", "2", { a: 2 }]]), storage.write([["task", "1", undefined], ["meta", "x", { b: [1] }]])]);
  assert.deepEqual(await indexedDBStorage("a test").read(), [["meta", "x", { b: [1] }], ["task", "2", { a: 2 }]]);
  const unkeepable: unknown = () => {};
  await assert.rejects(storage.write([["task", "3", { a: 3 }], ["task", "4", unkeepable]]));
  assert.equal((await storage.read()).length, 2);
  await storage.clear();
  assert.deepEqual(await storage.read(), []);
});
