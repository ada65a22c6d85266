import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { createTodolist, type Todolist } from "todolist-client";

import { Follower } from "./support/follower.js";
import { Line } from "./support/proxy.js";
import { Server, newPerson, sign } from "./support/server.js";
import { sleep, until } from "./support/wait.js";

let server: Server;
before(async () => void (server = await Server.start()));
after(() => server.stop());

function client(person: string, { url = server.url } = {}): Todolist {
  return createTodolist({ url, token: () => sign(person) });
}

test("what is fetched is followed without a gap, whatever happens meanwhile", async () => {
  const person = newPerson();
  const { tasks } = client(person);
  for (const text of ["a", "b", "c"]) await tasks.create({ text });
  const follower = new Follower(client(person));
  const writes = ["d", "e", "f", "g"].map((text) => tasks.create({ text }));
  const [d] = await Promise.all(writes);
  await tasks.change(d!.id, { text: "D" });
  const [last] = await tasks.list({ limit: 1, ordering: "created_at" }).all();
  await tasks.remove(last!.id);
  await follower.has("D", "b", "c", "e", "f", "g");
  assert.equal(follower.loads, 1);
  const numbers = follower.events.map(({ seq }) => seq);
  assert.deepEqual(numbers, numbers.map((_, index) => numbers[0]! + index));
  follower.live.close();
  assert.equal(follower.live.state, "closed");
});

test("a line that was cut is taken up where it was left, and what is known is not fetched again", async () => {
  const person = newPerson();
  const line = await Line.to(server.port);
  const follower = new Follower(client(person, { url: line.url }));
  await follower.state("live");
  line.set("cut");
  await follower.state("waiting: unreachable");
  const { tasks } = client(person);
  await tasks.create({ text: "meanwhile" });
  line.set("open");
  await follower.has("meanwhile");
  follower.live.close();
  const other = new Follower(client(person), { since: follower.live.position! });
  await other.state("live");
  await tasks.create({ text: "later" });
  await other.has("later");
  assert.deepEqual([follower.loads, other.loads, other.events.length], [1, 0, 1]);
  other.live.close();
  line.close();
});

test("a position of which the server has no record is fetched anew", async () => {
  const person = newPerson();
  await client(person).tasks.create({ text: "there" });
  const follower = new Follower(client(person), { since: { seq: 4711, epoch: "another" } });
  await follower.has("there");
  await follower.state("live");
  assert.equal(follower.loads, 1);
  follower.live.close();
});

test("tokens are renewed within one connection, those of seconds too, and no oftener than they have to be", async () => {
  const person = newPerson();
  let asked = 0;
  const follower = new Follower(createTodolist({ url: server.url, token: () => (asked++, sign(person, { seconds: 3 })) }));
  await follower.state("live");
  await sleep(6_000);
  assert.deepEqual(follower.states, ["connecting", "live"]);
  assert(asked <= 5, `${asked} tokens in six seconds`);
  follower.live.close();
});

test("a token that was handed out late is renewed when the server reminds of it", async () => {
  const person = newPerson();
  // An hour long, of which two seconds are left.
  const tokens = [sign(person, { ago: 3598 })];
  const follower = new Follower(createTodolist({ url: server.url, token: () => tokens.pop() ?? sign(person) }));
  await follower.state("live");
  await sleep(3_000);
  assert.deepEqual(follower.states, ["connecting", "live"]);
  follower.live.close();
});

test("expired is one thing, refused another, signed out a third", async () => {
  const person = newPerson();
  const tokens: (string | null)[] = [sign(person, { ago: 7200 }), sign(person)];
  const expired = new Follower(createTodolist({ url: server.url, token: () => tokens.shift() ?? null }), { since: { seq: 0, epoch: "" } });
  await expired.state("live");
  assert(expired.states.includes("waiting: expired"));
  expired.live.close();

  const secret = "another-secret-of-at-least-32-bytes-42";
  const refused = new Follower(createTodolist({ url: server.url, token: () => sign(person, { secret }) }), { since: { seq: 0, epoch: "" } });
  await refused.state("refused");
  assert.deepEqual(refused.states.filter((state) => state.startsWith("waiting")), ["waiting: expired"]);

  let signedIn = false;
  const out = new Follower(createTodolist({ url: server.url, token: () => (signedIn ? sign(person) : null) }));
  await out.state("signed_out");
  signedIn = true;
  out.live.reconnect();
  await out.state("live");
  out.live.close();
});

test("whom staff sign out is asked for a new token, and goes on with one", async () => {
  const person = newPerson();
  const follower = new Follower(client(person));
  await follower.state("live");
  await server.manage("sign_out", person);
  await until(() => follower.states.includes("waiting: expired"), "signed out", 15);
  await follower.state("live");
  follower.live.close();
});

test("whoever is erased is told so, and begins anew", async () => {
  const person = newPerson();
  const todolist = client(person);
  await todolist.tasks.create({ text: "to be erased" });
  let erased = 0;
  const follower = new Follower(client(person), { erased: () => erased++ });
  await follower.state("live");
  await todolist.erase(person);
  await until(() => erased, "erased");
  await follower.state("live");
  await todolist.tasks.create({ text: "anew" });
  await follower.has("anew");
  assert.equal(follower.loads, 2);
  follower.live.close();
});
