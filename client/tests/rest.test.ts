import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { TodolistError, createTodolist, earliest, newId, type Task, type Todolist } from "todolist-client";

import { Line } from "./support/proxy.js";
import { Server, newPerson, sign } from "./support/server.js";

let server: Server;
before(async () => void (server = await Server.start()));
after(() => server.stop());

/** Rejects with an error of this code, which is given back. */
async function refused(call: Promise<unknown>, code: string): Promise<TodolistError> {
  const error = await call.then(
    () => assert.fail("it was accepted"),
    (reason: unknown) => reason,
  );
  assert(error instanceof TodolistError, String(error));
  assert.equal(error.code, code);
  return error;
}

function client(person = newPerson(), url = server.url): Todolist {
  return createTodolist({ url, token: () => sign(person) });
}

const texts = (tasks: Task[]): string[] => tasks.map(({ text }) => text);

test("a task from creation to restoration", async () => {
  const { tasks, trash } = client();
  const made = await tasks.create({ text: "Water the plants", priority: 2 });
  assert.equal(made.version, 1);
  assert.deepEqual(await tasks.get(made.id), made);
  const changed = await tasks.change(made.id, { completed: true }, { version: 1 });
  assert(changed.completed && changed.version === 2);
  await refused(tasks.change(made.id, { text: "Late" }, { version: 1 }), "changed_meanwhile");
  await tasks.remove(made.id, { version: 2 });
  await tasks.remove(made.id); // it is gone, which is what was asked for
  assert.deepEqual((await trash.list().all()).map(({ id }) => id), [made.id]);
  assert.equal((await trash.restore(made.id)).version, 3);
});

test("lists are read page by page, with their filters, and say as of which event", async () => {
  const { tasks } = client();
  const body = (n: number) => ({ op: "create" as const, body: { text: `Task ${n}`, priority: n % 3 } });
  const results = await tasks.bulk(Array.from({ length: 12 }, (_, n) => body(n)));
  assert.equal(results.length, 12);
  const list = tasks.list({ limit: 3, ordering: "created_at", priority: [0, 1] });
  assert.equal(String(list.position), "null"); // nothing has been asked for yet
  const found: Task[] = [];
  for await (const task of list) {
    // What comes meanwhile is an event after the position of the first page.
    if (found.push(task) === 1) await tasks.create({ text: "Meanwhile" });
  }
  assert.deepEqual(texts(found), [...["0", "1", "3", "4", "6", "7", "9", "10"].map((n) => `Task ${n}`), "Meanwhile"]);
  assert.equal(list.position?.seq, 12);
  assert.match(list.position.epoch, /^\w+$/);
});

test("several lists that were fetched together are followed from the earliest", async () => {
  const { tasks, labels } = client();
  const [first, second] = [labels.list(), tasks.list()];
  await first.all();
  await tasks.create({ text: "between" });
  await second.all();
  assert.deepEqual([first.position?.seq, second.position?.seq, earliest(second, first).seq], [0, 1, 0]);
  const other = client().tasks.list();
  await other.all();
  const erased = client();
  await erased.erase((await erased.me()).id);
  const anew = erased.tasks.list();
  await anew.all();
  assert.throws(() => earliest(other, anew), { code: "unexpected" });
});

test("what else there is", async () => {
  const person = newPerson();
  const todolist = client(person);
  const { projects, labels, preferences, notifications, tasks, calendar } = todolist;
  const home = await projects.create({ name: "Home", color: "#AA0000" });
  const work = await projects.create({ name: "Work" });
  assert.notEqual((await projects.move(home.id, { after: work.id })).position, home.position);
  const label = await labels.create({ name: "Soon" });
  const error = await refused(labels.create({ name: "SOON" }), "invalid");
  assert.deepEqual(Object.keys(error.fields), ["name"]);
  await tasks.create({ text: "One", project_id: home.id, label_ids: [label.id] });
  assert.deepEqual((await tasks.counts()).by_project, { [home.id]: 1 });
  const { version } = await preferences.get();
  assert.equal((await preferences.change({ time_zone: "Europe/Berlin" }, { version })).time_zone, "Europe/Berlin");
  assert.deepEqual(await notifications.list({ status: "unread" }).all(), []);
  assert.equal(await notifications.unreadCount(), 0);
  assert.match(await calendar.make(), /\.ics$/);
  await calendar.drop();
  const document = await todolist.export();
  assert.equal(document.tasks.length, 1);
  assert.equal((await client().import({ tasks: [{ text: "Brought" }] })).tasks, 1);
  assert.equal((await todolist.me()).id, person);
  await todolist.erase(person);
  assert.deepEqual(await tasks.list().all(), []);
});

test("a token is asked for once, however many wait, and again only before it expires", async () => {
  const person = newPerson();
  let asked = 0;
  const token = async () => (asked++, await new Promise((resolve) => setTimeout(resolve, 20)), sign(person, { seconds: 3 }));
  const { tasks } = createTodolist({ url: server.url, token });
  const all = () => Promise.all(Array.from({ length: 5 }, () => tasks.list().all()));
  await all();
  await all();
  assert.equal(asked, 1);
  await new Promise((resolve) => setTimeout(resolve, 2_050)); // two thirds of its life
  await all();
  assert.equal(asked, 2);
});

test("the life of a token is its length, whatever this machine's clock says", async (t) => {
  for (const offset of [-86_400_000, 86_400_000]) {
    const tokens = [sign(newPerson())];
    const { tasks } = createTodolist({ url: server.url, token: () => tokens.shift() ?? assert.fail("asked too often") });
    const now = Date.now;
    t.mock.method(Date, "now", () => now() + offset);
    await tasks.list().all();
    await tasks.list().all();
    t.mock.restoreAll();
  }
});

test("a token ages although this machine's clock is put back", async (t) => {
  const person = newPerson();
  const tokens = [sign(person, { seconds: 6 }), sign(person)];
  const { tasks } = createTodolist({ url: server.url, token: () => tokens.shift() ?? null });
  await tasks.list().all();
  const now = Date.now;
  t.mock.method(Date, "now", () => now() - 86_400_000);
  await new Promise((resolve) => setTimeout(resolve, 4_050)); // two thirds of its life: the server would take it still
  await tasks.list().all();
  assert.deepEqual(tokens, []);
});

test("a token that is refused is renewed once", async () => {
  const person = newPerson();
  const tokens = [sign(person, { ago: 7200 }), sign(person)];
  const { tasks } = createTodolist({ url: server.url, token: () => tokens.shift() ?? assert.fail("asked too often") });
  await Promise.all([tasks.list().all(), tasks.list().all(), tasks.list().all()]);
  assert.deepEqual(tokens, []);
  let asked = 0;
  const other = createTodolist({ url: server.url, token: () => (asked++, sign(person, { secret: "x".repeat(40) })) });
  const error = await refused(other.tasks.list().all(), "token_invalid");
  assert(error.signedOut && !error.passing);
  assert.equal(asked, 2);
});

test("whoever is not signed in, or somebody else, is told so without a call", async () => {
  const nobody = createTodolist({ url: "http://127.0.0.1:9", token: () => null });
  assert((await refused(nobody.tasks.list().all(), "no_token")).signedOut);
  const people = [sign("one", { seconds: 0 }), sign("another")];
  const mixed = createTodolist({ url: server.url, token: () => people.shift() ?? null });
  await refused(mixed.tasks.list().all(), "another_person");
  const away = createTodolist({ url: server.url, token: () => Promise.reject(new Error("the sign-in server is away")) });
  assert((await refused(away.tasks.list({}, { tries: 1 }).all(), "unreachable")).passing);
});

test("what another one has is refused by its code", async () => {
  const { id } = await client().tasks.create({ text: "Mine" });
  const { tasks } = client();
  assert.equal((await refused(tasks.get(id), "not_yours")).status, 403);
  await refused(tasks.get(newId()), "not_found");
  await refused(tasks.create({ id, text: "Taken" }), "id_taken");
  assert.deepEqual(Object.keys((await refused(tasks.create({ text: " " }), "invalid")).fields), ["text"]);
});

test("where an answer is lost, what was done is not done again", async () => {
  const line = await Line.to(server.port);
  const person = newPerson();
  const { tasks } = client(person, line.url);
  const beyond = client(person);
  /** Loses the answer of the next request, which the server has carried out. */
  const losing = async <T>(call: () => Promise<T>): Promise<T> => {
    line.set("deaf");
    setTimeout(() => line.set("open"), 200);
    return await call();
  };
  const made = await losing(() => tasks.create({ text: "Once" }));
  const changed = await losing(() => tasks.change(made.id, { text: " Changed " }, { version: 1 }));
  assert(changed.version === 2 && changed.text === "Changed");
  const [first] = await losing(() => tasks.bulk([{ op: "create", body: { text: "In bulk" } }]));
  assert.equal(first?.status, 201);
  await losing(() => tasks.remove(made.id, { version: 2 }));
  assert.deepEqual(texts(await beyond.tasks.list().all()), ["In bulk"]);
  line.close();
  await refused(tasks.create({ text: "Nobody there" }, { tries: 2 }), "unreachable");
});

test("a change that was made by somebody else meanwhile is not taken for one's own", async () => {
  const line = await Line.to(server.port);
  const person = newPerson();
  const { tasks } = client(person, line.url);
  const { id } = await tasks.create({ text: "Before" });
  line.set("cut");
  const change = tasks.change(id, { text: "Mine" }, { version: 1 });
  await client(person).tasks.change(id, { text: "Theirs" });
  line.set("open");
  await refused(change, "changed_meanwhile");
  line.close();
});

test("a request can be given up, also while it waits", async () => {
  const line = await Line.to(server.port);
  line.set("frozen");
  const giveUp = new AbortController();
  const call = client(newPerson(), line.url).tasks.list({}, { signal: giveUp.signal }).all();
  setTimeout(() => giveUp.abort(new Error("given up")), 50);
  await assert.rejects(call, /given up/);
  line.close();
});

test("waits as long as the server says", async () => {
  // A server whose keys cannot be had, and who says when to come again.
  const other = await Server.start({ BETTER_AUTH_URL: "http://127.0.0.1:9" });
  const header = Buffer.from(JSON.stringify({ alg: "EdDSA", kid: "x" })).toString("base64url");
  const [, claims] = sign(newPerson()).split(".");
  const { tasks } = createTodolist({ url: other.url, token: () => `${header}.${claims}.${"A".repeat(86)}` });
  const begun = Date.now();
  const error = await refused(tasks.list({}, { tries: 2 }).all(), "keys_unavailable");
  assert(error.retryAfter && error.retryAfter >= 1000);
  assert(Date.now() - begun >= error.retryAfter);
  await other.stop();
});
