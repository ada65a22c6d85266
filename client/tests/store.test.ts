import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { compareMoments, createTodolist, memoryStorage, openStore, type Storage, type Task } from "todolist-client";

import { Device, somebody, taskOf, textsOf } from "./support/people.js";
import { Server, newPerson, sign } from "./support/server.js";
import { sleep, until } from "./support/wait.js";

let server: Server;
before(async () => void (server = await Server.start()));
after(() => server.stop());

test("what is done here is shown at once, and never twice, though its event comes before the answer", async () => {
  const { device, beyond } = await somebody(server);
  const { store } = device;
  const doubled: string[] = [];
  store.subscribe(() => {
    if (new Set(device.texts).size !== device.texts.length) doubled.push(device.texts.join());
  });
  for (let n = 0; n < 20; n++) {
    store.tasks.create({ text: `Task ${n}` });
    assert.equal(device.texts[0], `Task ${n}`);
    await sleep(n % 3);
  }
  await device.played();
  assert.deepEqual(doubled, []);
  await until(() => store.tasks.all().every(({ version }) => version === 1), "told by events");
  assert.deepEqual(device.texts, await textsOf(beyond));
  device.close();
});

test("what others do is shown, in the order of the server, and what is the same stays the same object", async () => {
  const { device, beyond } = await somebody(server);
  const { store } = device;
  const one = await beyond.tasks.create({ text: "one" });
  const two = await beyond.tasks.create({ text: "two" });
  await until(() => device.texts.length === 2, "two");
  const list = store.tasks.all();
  await beyond.projects.create({ name: "A project" });
  await until(() => store.projects.all().length === 1, "a project");
  assert.equal(store.tasks.all(), list);
  await beyond.tasks.move(one.id, { to: "top" });
  await until(() => device.texts.join() === "one,two", "moved");
  assert.equal(store.tasks.get(two.id), list[0]);
  await beyond.tasks.remove(two.id);
  await until(() => device.texts.join() === "one", "removed");
  await beyond.trash.restore(two.id);
  await until(() => device.texts.length === 2, "restored");
  device.close();
});

test("where nothing can be kept, it is said, and all works as long as the store is open", async () => {
  const { device, beyond, person } = await somebody(server);
  device.close();
  const said: unknown[] = [];
  const before = console.error;
  console.error = (error: unknown) => said.push(error);
  try {
    const refused = new Error("no storage");
    const storage: Storage = { ...memoryStorage(), read: () => Promise.reject(refused) };
    const store = openStore(createTodolist({ url: server.url, token: () => sign(person) }), { storage });
    store.tasks.create({ text: "kept nowhere" });
    await until(() => store.status().state === "live" && store.status().pending === 0, "live");
    assert.deepEqual(await textsOf(beyond), ["kept nowhere"]);
    assert.deepEqual(said, [refused]);
    store.close();
  } finally {
    console.error = before;
  }
});

test("hours offline, over reloads: all is shown, all is done in order when the line is back", async () => {
  const { device, beyond } = await somebody(server);
  const there = await beyond.tasks.create({ text: "was there", due_on: "2030-01-01" });
  await until(() => device.texts.length === 1, "known");
  device.line.set("cut");
  let { store } = device;
  const project = store.projects.create({ name: "Offline" });
  const label = store.labels.create({ name: "Train" });
  const parent = store.tasks.create({ text: "parent", project_id: project.id, label_ids: [label.id] });
  const child = store.tasks.create({ text: "child", parent_id: parent.id });
  assert.equal(store.tasks.get(child.id)?.project_id, project.id);
  store.tasks.change(parent.id, { text: "parent, changed" });
  store.tasks.change(there.id, { deadline: "2031-01-01T00:00:00Z" });
  assert.equal(store.tasks.get(there.id)?.due_on, null);
  store.tasks.move(there.id, { to: "top" });
  store.tasks.change(child.id, { completed: true });
  const gone = store.tasks.create({ text: "gone" });
  store.tasks.remove(gone.id);
  store.preferences.change({ time_zone: "Europe/Paris" });
  const orders = (tasks: readonly Task[]) => [null, parent.id].map((id) => tasks.filter(({ parent_id }) => parent_id === id).map(({ text }) => text));
  const shown = orders(store.tasks.all()); // there is an order for each parent
  assert.deepEqual(shown, [["was there", "parent, changed"], ["child"]]);
  await device.reload();
  ({ store } = device);
  await until(() => store.tasks.all().length > 0, "read");
  assert.deepEqual(orders(store.tasks.all()), shown);
  assert.equal(store.preferences.current()?.time_zone, "Europe/Paris");
  assert((await textsOf(beyond)).join() === "was there");

  device.line.set("open");
  await device.played();
  assert.deepEqual(orders(await beyond.tasks.list({ ordering: "position" }).all()), shown);
  const made = await beyond.tasks.get(child.id);
  assert(made.completed && made.project_id === project.id && made.parent_id === parent.id);
  assert.equal((await beyond.preferences.get()).time_zone, "Europe/Paris");
  await until(() => device.store.tasks.get(child.id)?.version === made.version, "told");
  assert.deepEqual([orders(store.tasks.all()), store.conflicts()], [shown, []]);
  device.close();
});

test("where calls get through and no socket does, all stays as it was done here, until events tell of it", async () => {
  const { device, beyond } = await somebody(server);
  const { store } = device;
  device.line.set("calls");
  const { id } = store.tasks.create({ text: "once" });
  await device.played();
  store.tasks.change(id, { text: "changed" });
  await device.played();
  assert.deepEqual(device.texts, ["changed"]);
  store.tasks.change(id, { text: "again" });
  const gone = store.tasks.create({ text: "gone" });
  await device.played();
  store.tasks.remove(gone.id);
  await device.played();
  assert.deepEqual([device.texts, await textsOf(beyond), store.conflicts()], [["again"], ["again"], []]);
  assert.notEqual(store.status().state, "live");
  device.line.set("open");
  await device.loaded();
  await beyond.tasks.remove(id);
  await until(() => device.texts.length === 0, "told of what came later");
  device.close();
});

test("where answers are lost and the page is reloaded, nothing is done twice", async () => {
  const { device, beyond } = await somebody(server);
  device.line.set("deaf");
  const task = device.store.tasks.create({ text: "once" });
  await until(async () => (await textsOf(beyond)).length === 1, "the creation arrived");
  device.store.tasks.change(task.id, { text: "changed" });
  await device.reload();
  device.line.set("open");
  await device.played();
  await device.loaded();
  device.line.set("deaf");
  device.store.tasks.change(task.id, { text: "again", description: "more" });
  await until(async () => (await textsOf(beyond)).join() === "again", "the change arrived");
  // Somebody else goes on from there, which is no conflict: they have seen it.
  await beyond.tasks.change(task.id, { text: "theirs" });
  await device.reload();
  device.line.set("open");
  await device.played();
  assert.deepEqual(await textsOf(beyond), ["theirs"]);
  assert.deepEqual(device.store.conflicts(), []);
  device.close();
});

test("a creation whose answer was lost, and which was deleted since, does not come back by a late answer", async () => {
  const { device, beyond } = await somebody(server);
  device.line.set("deaf");
  const { id } = device.store.tasks.create({ text: "once" });
  await until(async () => (await textsOf(beyond)).length === 1, "arrived");
  await beyond.tasks.remove(id);
  device.line.set("open");
  await device.played();
  await until(() => device.store.status().state === "live", "live");
  await beyond.tasks.create({ text: "another" });
  await until(() => device.texts.includes("another"), "told of what came later");
  assert.deepEqual([device.texts, await textsOf(beyond)], [["another"], ["another"]]);
  device.close();
});

test("both sides have changed a text: theirs stays, mine is a copy, and both are told", async () => {
  const { device, beyond } = await somebody(server);
  const { id } = await beyond.tasks.create({ text: "before", description: "d", priority: 1 });
  await until(() => device.texts.length === 1, "known");
  device.line.set("cut");
  device.store.tasks.change(id, { text: "mine", priority: 3 });
  device.store.projects.create({ name: "between" }); // so that the next change is an operation of its own
  device.store.tasks.change(id, { text: "mine, once more", completed: true });
  await beyond.tasks.change(id, { text: "theirs", description: "D" });
  device.line.set("open");
  await device.played();
  assert.deepEqual((await textsOf(beyond)).sort(), ["mine, once more", "theirs"]);
  const theirs = await beyond.tasks.get(id);
  assert(theirs.text === "theirs" && theirs.priority === 3 && theirs.completed && theirs.description === "D");
  const [conflict, ...others] = device.store.conflicts();
  assert.deepEqual(others, []);
  assert.deepEqual({ ...conflict, id: "", copy: "" }, { id: "", kind: "task", target: id, what: "changed", mine: { text: "mine, once more" }, seen: { text: "before" }, theirs: { text: "theirs" }, copy: "" });
  assert.equal(conflict!.copy, (await taskOf(beyond, "mine, once more")).id);
  device.store.dismiss(conflict!.id);
  assert.deepEqual(device.store.conflicts(), []);
  device.close();
});

test("what is closed in the middle of a conflict sends nothing more, and tells it when it is opened again", async () => {
  const { device, beyond } = await somebody(server);
  const { id } = await beyond.projects.create({ name: "before" });
  await until(() => device.store.projects.all().length === 1, "known");
  device.line.set("calls"); // so that it does not know what others do
  const untilRefused: typeof fetch = async (...call) => {
    const answer = await fetch(...call);
    if (answer.status === 412) device.store.close();
    return answer;
  };
  await device.reload(untilRefused);
  const { store } = device;
  await beyond.projects.change(id, { name: "theirs" });
  store.projects.change(id, { name: "mine" });
  await until(() => store.status().state === "closed", "refused");
  await sleep(300); // in which it would have been sent
  assert.equal((await beyond.projects.get(id)).name, "theirs");
  device.line.set("open");
  device.open();
  await device.loaded();
  await device.played();
  assert.deepEqual(device.store.conflicts().map(({ what, mine, theirs }) => [what, mine, theirs]), [["changed", { name: "mine" }, { name: "theirs" }]]);
  assert.equal((await beyond.projects.get(id)).name, "mine");
  device.close();
});

test("an undo whose first try did not arrive is tried again, though events tell meanwhile of what came before it", async () => {
  const { device, beyond } = await somebody(server);
  const { id } = await beyond.tasks.create({ text: "one" });
  await until(() => device.texts.length === 1, "known");
  device.line.set("calls"); // answers come, and events do not
  let tries = 0;
  const lost: typeof fetch = async (...call) => {
    if (String(call[0]).endsWith("/restore") && ++tries === 1) {
      device.line.set("open");
      await until(() => device.store.status().state === "live", "live");
      await sleep(100); // events come in
      throw new TypeError("lost");
    }
    return fetch(...call);
  };
  await device.reload(lost);
  const { store } = device;
  store.tasks.change(id, { text: "changed" });
  store.tasks.remove(id);
  store.tasks.restore(id);
  await until(() => tries > 0 && store.status().pending === 0, "played");
  assert.deepEqual([tries, await textsOf(beyond)], [2, ["changed"]]);
  await until(() => store.tasks.get(id), "shown");
  device.close();
});

for (const state of ["open", "calls"] as const) {
  test(`a removal whose answer was lost is not repeated over somebody who brought it back, where the line is then ${state}`, async () => {
    const { device, beyond } = await somebody(server);
    const { id } = await beyond.tasks.create({ text: "back" });
    await until(() => device.texts.length === 1, "known");
    device.line.set("deaf");
    device.store.tasks.remove(id);
    await until(async () => (await textsOf(beyond)).length === 0, "removed");
    await beyond.trash.restore(id);
    device.line.set(state);
    await device.played();
    device.line.set("open");
    await until(() => device.texts.length === 1, "told");
    assert.deepEqual([await textsOf(beyond), device.store.conflicts()], [["back"], []]);
    device.close();
  });
}

test("a label that was renamed before it turned out to be there already is one of its own", async () => {
  const { device, beyond } = await somebody(server);
  device.line.set("cut");
  const { id } = device.store.labels.create({ name: "Home" });
  await until(() => device.store.status().state === "waiting", "tried");
  device.store.labels.change(id, { name: "Garden" });
  await beyond.labels.create({ name: "home" });
  device.line.set("open");
  await device.played();
  const names = (await beyond.labels.list().all()).map(({ name }) => name);
  assert.deepEqual([names.sort(), device.store.conflicts()], [["Garden", "home"], []]);
  device.close();
});

test("what repeats and is completed without a connection has a next one", async () => {
  const { device, beyond } = await somebody(server);
  device.line.set("cut");
  device.store.tasks.create({ text: "first" });
  const { id } = device.store.tasks.create({ text: "water", due_on: "2090-05-01", recurrence: "FREQ=DAILY" });
  device.store.tasks.change(id, { completed: true });
  device.line.set("open");
  await device.played();
  const next = (await beyond.tasks.list().all()).filter(({ previous_id }) => previous_id === id);
  assert.deepEqual(next.map(({ due_on, completed }) => [due_on, completed]), [["2090-05-02", false]]);
  device.close();
});

for (const when of ["while lists are fetched", "after lists were fetched"]) {
  test(`what was created and deleted before the lists were read is not shown, where its answer comes ${when}`, async () => {
    const person = newPerson();
    const beyond = createTodolist({ url: server.url, token: () => sign(person) });
    let deleted = false;
    const slow: typeof fetch = async (...call) => {
      if (call[1]?.method === "GET") await until(() => deleted, "deleted");
      const answer = await fetch(...call);
      if (call[1]?.method === "POST" && when.startsWith("after")) await until(() => store.status().loaded, "fetched");
      return answer;
    };
    const store = openStore(createTodolist({ url: server.url, token: () => sign(person), fetch: slow }), { user: person, storage: memoryStorage() });
    const { id } = store.tasks.create({ text: "once" });
    await until(async () => (await textsOf(beyond)).length === 1, "arrived");
    if (when.startsWith("while")) await until(() => store.status().pending === 0, "answered");
    await beyond.tasks.remove(id);
    deleted = true;
    await until(() => store.status().state === "live" && store.status().pending === 0, "played");
    assert.deepEqual(store.tasks.all(), []);
    store.close();
  });
}

test("who signs out while lists are fetched sees nothing of them", async () => {
  const person = newPerson();
  const beyond = createTodolist({ url: server.url, token: () => sign(person) });
  await beyond.tasks.create({ text: "private" });
  let forgotten: Promise<void> | undefined;
  const slow: typeof fetch = async (...call) => {
    if (String(call[0]).endsWith("/preferences")) forgotten ??= store.forget();
    return fetch(...call);
  };
  const store = openStore(createTodolist({ url: server.url, token: () => sign(person), fetch: slow }), { user: person, storage: memoryStorage() });
  await until(() => forgotten !== undefined, "fetched");
  await forgotten;
  await sleep(200); // in which the rest would have come
  assert.deepEqual([store.tasks.all(), store.status().loaded], [[], false]);
});

test("of what is not typed the later one wins, labels are joined, and changes of different fields are no conflict", async () => {
  const { device, beyond } = await somebody(server);
  const labels = await Promise.all(["a", "b", "c"].map((name) => beyond.labels.create({ name })));
  const [a, b, c] = labels.map(({ id }) => id) as [string, string, string];
  const { id } = await beyond.tasks.create({ text: "one", label_ids: [a] });
  await until(() => device.texts.length === 1, "known");
  device.line.set("cut");
  device.store.tasks.change(id, { priority: 1, label_ids: [b] });
  await beyond.tasks.change(id, { text: "two", priority: 2, label_ids: [a, c] });
  device.line.set("open");
  await device.played();
  const task = await beyond.tasks.get(id);
  assert.deepEqual([task.text, task.priority, task.label_ids], ["two", 1, [b, c].sort()]);
  assert.deepEqual(device.store.conflicts().map(({ what, mine, theirs }) => [what, mine, theirs]), [["changed", { priority: 1 }, { priority: 2 }]]);
  device.close();
});

test("a text that is changed here and deleted there comes back", async () => {
  const { device, beyond } = await somebody(server);
  const [one, two, three] = (await Promise.all(["one", "two", "three"].map((text) => beyond.tasks.create({ text, priority: 4 })))) as [Task, Task, Task];
  await until(() => device.texts.length === 3, "known");
  device.line.set("cut");
  device.store.tasks.change(one.id, { text: "one, typed" });
  device.store.tasks.change(two.id, { description: "two, typed" });
  device.store.tasks.change(three.id, { completed: true }); // nothing that was typed
  for (const { id } of [one, two, three]) await beyond.tasks.remove(id);
  await beyond.trash.drop(two.id);
  device.line.set("open");
  await device.played();
  assert.deepEqual((await textsOf(beyond)).sort(), ["one, typed", "two"]);
  assert.equal((await beyond.tasks.get(one.id)).priority, 4);
  assert.equal((await taskOf(beyond, "two")).description, "two, typed");
  assert.deepEqual(device.store.conflicts().map(({ what, target }) => [what, target]), [one, two, three].map(({ id }) => ["deleted", id]));
  device.close();
});

test("what is removed here and has another text by now stays, anything else is removed", async () => {
  const { device, beyond } = await somebody(server);
  const { id } = await beyond.tasks.create({ text: "one" });
  const other = await beyond.tasks.create({ text: "other" });
  await until(() => device.texts.length === 2, "known");
  device.line.set("cut");
  device.store.tasks.remove(id);
  device.store.tasks.remove(other.id);
  assert.deepEqual(device.texts, []);
  await beyond.tasks.change(id, { text: "one, theirs" });
  await beyond.tasks.change(other.id, { priority: 1 });
  device.line.set("open");
  await device.played();
  await until(() => device.texts.join() === "one, theirs", "shown again");
  assert.deepEqual(await textsOf(beyond), ["one, theirs"]);
  assert.deepEqual(device.store.conflicts().map(({ what, target }) => [what, target]), [["kept", id]]);
  device.close();
});

test("what the server refuses is told, kept, and holds up nothing", async () => {
  const { device, beyond } = await somebody(server);
  const project = await beyond.projects.create({ name: "to go" });
  const taken = await beyond.labels.create({ name: "Straße" });
  await until(() => device.store.labels.all().length === 1, "known");
  device.line.set("cut");
  const long = device.store.tasks.create({ text: "x".repeat(501) });
  device.store.projects.create({ name: "between" });
  device.store.tasks.change(long.id, { description: "of the long one" });
  const label = device.store.labels.create({ name: "straße" });
  device.store.tasks.create({ text: "in a project that goes", project_id: project.id, label_ids: [label.id] });
  device.store.tasks.create({ text: "after" });
  await beyond.projects.remove(project.id);
  device.line.set("open");
  await device.played();
  assert.deepEqual((await textsOf(beyond)).sort(), ["after", "in a project that goes"]);
  const there = await taskOf(beyond, "in a project that goes");
  assert.deepEqual([there.project_id, there.label_ids], [null, [taken.id]]);
  const [first, second] = device.store.conflicts();
  assert.deepEqual([first?.what, first?.mine["description"], Object.keys(first?.error?.fields ?? {})], ["refused", "of the long one", ["text"]]);
  assert.deepEqual([second?.what, second?.mine], ["refused", { project_id: project.id }]);
  device.close();
});

test("undo: what was removed is brought back as it was", async () => {
  const { device, beyond } = await somebody(server);
  const { id } = await beyond.tasks.create({ text: "one" });
  await until(() => device.texts.length === 1, "known");
  const task = device.store.tasks.get(id)!;
  device.store.tasks.remove(id);
  assert.deepEqual(device.texts, []);
  device.store.tasks.restore(task);
  assert.deepEqual(device.texts, ["one"]);
  await device.played();
  assert.equal((await beyond.tasks.get(id)).version, 2);
  await until(() => device.store.tasks.get(id)?.version === 2, "told");
  device.close();
});

test("reminders are shown, read and withdrawn", async () => {
  const { device, beyond } = await somebody(server);
  const { store } = device;
  const tasks = await Promise.all(["one", "two", "three"].map((text) => beyond.tasks.create({ text, deadline: "2030-01-01T00:00:00Z" })));
  await server.manage("send_reminders", "--at", "2030-01-01T00:00:01Z");
  await until(() => store.notifications.all().length === 3, "three", 15);
  assert.deepEqual(store.notifications.all().map(({ id }) => id), (await beyond.notifications.list().all()).map(({ id }) => id));
  device.line.set("cut");
  store.notifications.readAll();
  assert(store.notifications.all().every(({ read_at }) => read_at));
  store.tasks.remove(tasks[0]!.id); // its notification goes with it
  assert.equal(store.notifications.all().length, 2);
  device.line.set("open");
  await device.played();
  assert.equal(await beyond.notifications.unreadCount(), 0);
  await until(async () => (await beyond.notifications.list().all()).length === 2, "two");
  await until(() => store.status().state === "live" && store.notifications.all().length === 2, "withdrawn");
  device.close();
});

test("another history, and lists that were missed, are fetched anew; what waits stays", async () => {
  const { device, beyond, person } = await somebody(server);
  await beyond.tasks.create({ text: "before" });
  await until(() => device.texts.length === 1, "known");
  device.line.set("cut");
  device.store.tasks.create({ text: "waits" });
  await server.manage("new_epoch");
  await device.reload();
  device.line.set("open");
  await device.played();
  assert.deepEqual((await textsOf(beyond)).sort(), ["before", "waits"]);
  await until(() => device.texts.length === 2, "shown");

  // Erased: whoever is connected forgets, and brings nothing back.
  await device.loaded();
  await beyond.erase(person);
  await until(() => device.texts.length === 0, "erased");
  await device.loaded();
  assert.deepEqual(await textsOf(beyond), []);
  device.close();
});

test("what is kept of one person is shown to nobody else, and forgotten when asked", async () => {
  const { device, person } = await somebody(server);
  device.store.tasks.create({ text: "mine" });
  await device.played();
  device.store.close();
  const mixed = openStore(createTodolist({ url: server.url, token: () => sign(newPerson()) }), { user: person, storage: device.storage });
  await until(() => mixed.status().state === "signed_out", "told");
  mixed.tasks.create({ text: "of whom?" });
  await sleep(100);
  assert.equal(mixed.status().pending, 1);
  await mixed.forget();
  assert.deepEqual([mixed.tasks.all(), await device.storage.read()], [[], []]);
  device.close();
});

test("without the id of a person, it waits for a token", async () => {
  const person = newPerson();
  let signedIn = false;
  const store = openStore(createTodolist({ url: server.url, token: () => (signedIn ? sign(person) : null) }));
  await until(() => store.status().state === "signed_out", "nobody");
  signedIn = true;
  await until(() => store.status().loaded, "somebody");
  assert.equal(store.tasks.create({ text: "one" }).text, "one");
  await until(() => store.status().pending === 0, "played");
  store.close();
});

test("while a token expires, and while a server is started again, nothing stops", async () => {
  const person = newPerson();
  const device = await Device.of(person, server, { seconds: 2 });
  await device.loaded();
  await sleep(2_500);
  device.store.tasks.create({ text: "with a new token" });
  await device.played();
  await server.signal("SIGKILL");
  device.store.tasks.create({ text: "while it was away" });
  await sleep(200);
  await server.start();
  await device.played();
  await until(() => device.store.tasks.all().every(({ version }) => version === 1), "told");
  assert.deepEqual(device.texts, ["while it was away", "with a new token"]);
  device.close();
});

test("moments compare as moments", () => {
  const moments = ["2030-01-01T00:00:00.5Z", "2030-01-01T00:00:00Z", "2030-01-01T00:00:00.000001Z", "2029-12-31T23:59:59.999999Z"];
  assert.deepEqual(moments.sort(compareMoments).map((one) => one.slice(17)), ["59.999999Z", "00Z", "00.000001Z", "00.5Z"]);
});
