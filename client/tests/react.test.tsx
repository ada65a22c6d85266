import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { JSDOM } from "jsdom";
import { StrictMode, type ReactElement } from "react";

import { openStore, createTodolist, type Store } from "todolist-client";
import { TodolistProvider, useChangeTask, useConflicts, useCreateTask, useLabels, useMoveTask, useNotifications, usePreferences, useProjects, useRemoveTask, useStatus, useTask, useTasks, type TaskFilter } from "todolist-client/react";

import { somebody, textsOf, type Device } from "./support/people.js";
import { Server, sign } from "./support/server.js";
import { sleep, until } from "./support/wait.js";

const { window } = new JSDOM("<main></main>");
Object.defineProperty(globalThis, "navigator", { value: window.navigator, configurable: true });
Object.assign(globalThis, { window, document: window.document });
const { createRoot } = await import("react-dom/client");

let server: Server;
before(async () => void (server = await Server.start()));
after(() => server.stop());

const main = window.document.querySelector("main")!;
const rendered = { list: 0, status: 0, lists: new Set<unknown>() };
let undo: () => void;

function Row({ id }: { id: string }): ReactElement {
  const task = useTask(id);
  const change = useChangeTask();
  const remove = useRemoveTask();
  return (
    <li>
      <button className="complete" onClick={() => change(id, { completed: true })}>{task?.text}</button>
      <button className="remove" onClick={() => void (undo = remove(id))} />
    </li>
  );
}

function List({ filter }: { filter?: TaskFilter }): ReactElement {
  rendered.list += 1;
  const create = useCreateTask();
  const move = useMoveTask();
  const tasks = useTasks(typeof filter === "object" ? { ...filter } : filter); // written anew with each rendering
  rendered.lists.add(tasks);
  return (
    <ul>
      {tasks.map(({ id }) => <Row key={id} id={id} />)}
      <button className="create" onClick={() => create({ text: "by a button" })} />
      <button className="down" onClick={() => move(tasks[0]!.id, { to: "bottom" })} />
    </ul>
  );
}

function State(): ReactElement {
  rendered.status += 1;
  const { state, pending } = useStatus();
  const counts = [useProjects(), useLabels(), useNotifications(), useConflicts()].map(({ length }) => length);
  return <output>{`${state} ${pending} ${counts.join("")} ${usePreferences()?.time_zone}`}</output>;
}

const texts = (): string[] => [...main.querySelectorAll(".complete")].map(({ textContent }) => textContent ?? "");
/** React renders once what is running has ended. */
const rendering = (): Promise<void> => sleep(10);

async function click(selector: string): Promise<void> {
  main.querySelector<HTMLElement>(selector)!.click();
  await rendering();
}

let renderAgain: () => Promise<void>;

async function render(device: Device, filter?: TaskFilter): Promise<() => Promise<void>> {
  const root = createRoot(main);
  renderAgain = async () => {
    root.render(
      <StrictMode>
        <TodolistProvider store={device.store}>
          <List {...(filter && { filter })} />
          <State />
        </TodolistProvider>
      </StrictMode>,
    );
    await rendering();
  };
  await renderAgain();
  return async () => {
    root.unmount();
    await rendering();
  };
}

test("hooks show what is there, and what is done by them, at once", async () => {
  const { device, beyond } = await somebody(server);
  const unmount = await render(device);
  const { id } = await beyond.tasks.create({ text: "from elsewhere" });
  await until(() => texts().join() === "from elsewhere", "from elsewhere");
  await click(".create");
  assert.deepEqual(texts(), ["by a button", "from elsewhere"]);
  await click(".down");
  assert.deepEqual(texts(), ["from elsewhere", "by a button"]);
  await click(".remove");
  assert.deepEqual(texts(), ["by a button"]);
  undo();
  await rendering();
  assert.deepEqual(texts(), ["from elsewhere", "by a button"]);
  await click(".complete");
  await until(() => main.querySelector("output")!.textContent === "live 0 0000 UTC", "played");
  assert.deepEqual(await textsOf(beyond), ["from elsewhere", "by a button"]);
  assert((await beyond.tasks.get(id)).completed);
  await unmount();
  device.close();
});

test("a filter chooses, and what it does not choose renders nothing anew", async () => {
  const { device, beyond } = await somebody(server);
  const label = await beyond.labels.create({ name: "l" });
  await beyond.tasks.create({ text: "Water the plants", label_ids: [label.id] });
  await beyond.tasks.create({ text: "Done", completed: true });
  const unmount = await render(device, { completed: false, label: label.id, search: "PLANTS water", project_id: null });
  await until(() => texts().join() === "Water the plants", "one");
  await until(() => device.store.tasks.all().length === 2, "two");
  const before = rendered.list;
  await beyond.projects.create({ name: "a project" });
  await until(() => main.querySelector("output")!.textContent?.includes("1100"), "a project");
  assert.equal(rendered.list, before);
  const lists = rendered.lists.size;
  await renderAgain();
  assert.deepEqual([rendered.list > before, rendered.lists.size], [true, lists]);
  await unmount();
  const byFunction = await render(device, ({ completed }) => completed);
  assert.deepEqual(texts(), ["Done"]);
  await byFunction();
  device.close();
});

test("on a server, where nobody is, what there is is rendered", async () => {
  const { renderToString } = await import("react-dom/server");
  const store: Store = openStore(createTodolist({ url: server.url, token: () => sign("x") }), { user: "x" });
  store.tasks.create({ text: "typed" });
  assert.match(renderToString(<TodolistProvider store={store}><List /></TodolistProvider>), /typed/);
  assert.throws(() => renderToString(<List />), /TodolistProvider/);
  store.close();
});
