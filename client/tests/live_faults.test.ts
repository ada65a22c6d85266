// What a server does that is killed, frozen or has too much to do.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { createTodolist, type Todolist } from "todolist-client";

import { Follower } from "./support/follower.js";
import { Server, newPerson, sign } from "./support/server.js";
import { sleep } from "./support/wait.js";

let server: Server;
before(async () => void (server = await Server.start({ SOCKETS_PER_USER: "3" })));
after(() => server.stop());

function client(person: string): Todolist {
  return createTodolist({ url: server.url, token: () => sign(person) });
}

test("a server that is killed and started again is noticed, and nothing is missed", async () => {
  const person = newPerson();
  const follower = new Follower(client(person));
  await follower.state("live");
  await server.signal("SIGKILL");
  await follower.state("waiting: unreachable");
  await server.start();
  await client(person).tasks.create({ text: "after" });
  await follower.has("after");
  assert.equal(follower.loads, 1);
  follower.live.close();
});

test("a server that is frozen is noticed within ten seconds", async () => {
  const person = newPerson();
  const follower = new Follower(client(person));
  await follower.state("live");
  await sleep(4_500); // past the first question, which is answered
  assert.equal(follower.states.at(-1), "live");
  await server.signal("SIGSTOP");
  await follower.state("waiting: silent", 10);
  await server.signal("SIGCONT");
  await client(person).tasks.create({ text: "awake" });
  await follower.has("awake");
  follower.live.close();
});

test("too many sockets, and a server that has too much to do, are waited for", async () => {
  const person = newPerson();
  const followers = Array.from({ length: 3 }, () => new Follower(client(person)));
  for (const follower of followers) await follower.state("live");
  const one = new Follower(client(person));
  await one.state("waiting: too_many");
  followers[0]!.live.close();
  await sleep(100);
  one.live.reconnect();
  await one.state("live");
  for (const { live } of [...followers, one]) live.close();

  const busy = await Server.start({ BETTER_AUTH_URL: "http://127.0.0.1:9" });
  const header = Buffer.from(JSON.stringify({ alg: "EdDSA", kid: "x" })).toString("base64url");
  const token = `${header}.${sign(person).split(".")[1]}.${"A".repeat(86)}`;
  const waiting = new Follower(createTodolist({ url: busy.url, token: () => token }), { since: { seq: 0, epoch: "" } });
  await waiting.state("waiting: try_again");
  waiting.live.close();
  await busy.stop();
});
