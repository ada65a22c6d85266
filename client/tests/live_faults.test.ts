// What a server does that is killed, frozen or has too much to do.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { TodolistError, createTodolist, memoryStorage, openStore, type Position, type Todolist } from "todolist-client";

import { Follower } from "./support/follower.js";
import { Server, newPerson, sign } from "./support/server.js";
import { sleep, until } from "./support/wait.js";

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
  const tries = () => follower.states.filter((state) => state === "waiting: unreachable").length;
  await until(() => tries() >= 3, "it does not answer, and is asked again");
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

test("a server that is frozen is noticed by whoever has not been connected yet", async () => {
  const person = newPerson();
  await server.signal("SIGSTOP");
  const store = openStore(client(person), { user: person, storage: memoryStorage() });
  await until(() => store.status().reason === "unreachable", "noticed", 11);
  await server.signal("SIGCONT");
  await until(() => store.status().state === "live", "live", 15);
  store.close();
});

test("whoever is told to reconnect while lists are being fetched waits for these, as older ones would come later", async () => {
  let loads = 0;
  let release = (): void => {};
  const load = async (): Promise<Position> => {
    loads += 1;
    await new Promise<void>((resolve) => (release = resolve));
    const list = client(person).tasks.list();
    await list.all();
    return list.position!;
  };
  const person = newPerson();
  const follower = new Follower(client(person), { load });
  await until(() => loads === 1, "begun");
  follower.live.reconnect();
  follower.live.reconnect();
  await sleep(50);
  release();
  await follower.state("live");
  assert.equal(loads, 1);
  follower.live.close();
});

test("a server that says when to come again is not asked before", async () => {
  const times: number[] = [];
  const load = async (): Promise<Position> => {
    times.push(performance.now());
    if (times.length === 1) throw new TodolistError("busy", "The server is busy", 503, null, 1_500);
    return { seq: 0, epoch: "" };
  };
  const follower = new Follower(client(newPerson()), { load });
  await until(() => times.length >= 2, "asked again"); // and again, as its history is none of the server
  assert(times[1]! - times[0]! >= 1_490, `after ${times[1]! - times[0]!} ms`);
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
