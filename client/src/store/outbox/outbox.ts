import { pause } from "../../clock.js";
import { TodolistError, is } from "../../errors.js";
import type { Todolist } from "../../index.js";
import { report } from "../../report.js";
import type { CallOptions } from "../../rest/http.js";
import { madeBy } from "../../same.js";
import { copied } from "../view/defaults.js";
import { PREFERENCES, TYPED, versionOf, type Fields, type Operation, type Thing } from "../kinds.js";
import { merge, textChanged } from "./merge.js";
import type { Queue } from "./queue.js";
import { Sender } from "./sender.js";

// A mistake of the server's may pass; one that stays must not hold up all the rest.
const MISTAKES = 5;

/** Plays what waits, one after the other, whenever there is a connection. */
export class Outbox {
  #running = false;
  #failures = 0;
  #mistakes = 0;
  #hurry: (() => void) | null = null;
  readonly #sender: Sender;

  constructor(
    private readonly todolist: Todolist,
    private readonly queue: Queue,
    /** Until all that was changed so far is kept: nothing is sent that a reload would not know of. */
    private readonly saved: () => Promise<void>,
    /** Of every call. Its signal ends all, in the middle of an operation too. */
    private readonly options: CallOptions,
  ) {
    this.#sender = new Sender(todolist, options);
    options.signal?.addEventListener("abort", () => this.#hurry?.());
  }

  /** There is something to do, or, with `now`, a reason not to wait any longer. */
  wake(now = false): void {
    if (now) this.#hurry?.();
    if (!this.#running) void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    try {
      for (let operation; (operation = this.queue.next); ) {
        try {
          await this.#play(operation);
          this.#failures = this.#mistakes = 0;
        } catch (error) {
          if (this.options.signal?.aborted) return;
          if (!(error instanceof TodolistError)) report(error);
          else if (error.signedOut) return; // until somebody is, and wakes this
          else if (!error.passing || (error.code === "server_error" && ++this.#mistakes >= MISTAKES)) {
            this.#refused(operation, error);
            continue;
          }
          await this.#wait((error as TodolistError).retryAfter ?? pause(this.#failures++, 500, 30_000));
        }
      }
    } finally {
      this.#running = false;
    }
  }

  async #wait(milliseconds: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#hurry = () => (clearTimeout(timer), resolve());
    });
    this.#hurry = null;
  }

  #play({ sent, ...rest }: Operation): Promise<void> {
    const operation = { ...rest, sent: true };
    this.queue.put(operation); // from now on nothing is added to it
    if (operation.what === "create") return this.#create(operation, sent === true);
    if (operation.what === "change") return this.#change(operation, sent === true);
    if (operation.what === "remove") return this.#remove(operation, sent === true);
    return this.#once(operation);
  }

  /** It may arrive from now on, and a reload has to know. */
  async #sending(operation: Operation): Promise<void> {
    this.queue.put(operation);
    await this.saved();
  }

  async #create(operation: Operation, again: boolean): Promise<void> {
    const { kind, target, body } = operation;
    await this.saved();
    try {
      const made = await this.#sender.create(kind, { ...body, id: target });
      // The answer to what may have been sent before is the first one, whatever has become of it since. So it may be where lists
      // were fetched meanwhile, and it is not in them.
      const kept = this.queue.get(operation) ?? operation;
      if (!again && kept === operation) this.queue.confirm(operation, made);
      else await this.#made(operation);
    } catch (error) {
      if (is(error, "id_taken") || is(error, "key_of_another_body")) {
        await this.#made(operation); // longer ago than the server keeps answers
      } else if (kind === "label" && is(error, "invalid") && error.fields["name"] && (await this.#join(operation))) {
        return;
      } else {
        throw error;
      }
    }
  }

  /** It was created before, and may have been deleted since. */
  async #made(operation: Operation): Promise<void> {
    const found = await this.#sender.find(operation.kind, operation.target);
    if (found) this.queue.confirm(operation, found);
    else this.queue.drop(operation);
  }

  /** A label of a name that there is by now is that label, unless it has another name since. */
  async #join(operation: Operation): Promise<boolean> {
    const renamed = this.queue.later(operation).find(({ body }) => "name" in body);
    if (renamed) {
      this.queue.drop(renamed);
      this.queue.put({ ...operation, body: { ...operation.body, ...renamed.body }, sent: false });
      return true;
    }
    const fold = (name: unknown): string => String(name).normalize("NFC").trim().toLowerCase();
    const labels = await this.todolist.labels.list({}, this.options).all();
    const same = labels.find(({ name }) => fold(name) === fold(operation.body["name"]));
    if (!same) return false;
    this.queue.rename(operation.target, same.id);
    for (const one of [operation, ...this.queue.later(operation)]) this.queue.drop(one);
    return true;
  }

  async #change(operation: Operation, again: boolean): Promise<void> {
    const { kind, target } = operation;
    let theirs = this.queue.known(kind, target) ?? (await this.#sender.find(kind, target)) ?? (await this.#back(operation));
    while (theirs && this.queue.get(operation)) {
      const { body, both } = merge(operation.body, operation.seen, theirs);
      const left = both.length > 0 ? this.#conflict(operation, theirs, body, both) : body;
      if (Object.keys(left).length === 0) return this.queue.drop(operation);
      operation = { ...operation, body: left, seen: { ...operation.seen, ...pick(theirs, Object.keys(left)) }, version: versionOf(theirs) };
      await this.#sending(operation);
      try {
        return this.queue.confirm(operation, await this.#sender.change(kind, target, left, operation.version!));
      } catch (error) {
        // Events may have told meanwhile that an earlier try arrived, or are about to.
        const arrived = again && is(error, "changed_meanwhile") ? await this.#arrived(operation) : null;
        if (arrived) return this.queue.confirm(operation, arrived);
        again = false;
        if (!this.queue.get(operation)) return;
        if (!is(error, "changed_meanwhile") && !is(error, "not_found")) throw error;
        theirs = (await this.#sender.find(kind, target)) ?? (await this.#back(operation));
      }
    }
    if (this.queue.get(operation)) this.#gone(operation);
  }

  /** What an earlier try made of it, as events tell that have not come yet. */
  async #arrived({ kind, target, what, version, body }: Operation): Promise<Thing | null> {
    const { position } = this.queue;
    if (!position) return null;
    try {
      for (const { type, data } of await this.todolist.events(position, this.options)) {
        const thing = data as unknown as Thing;
        const made = what === "remove" ? type === `${kind}.deleted` : type === `${kind}.updated` && madeBy(body, version!, thing);
        if (made && (thing.id ?? PREFERENCES) === target) return thing;
      }
    } catch (error) {
      if (!is(error, "events_gone")) throw error;
    }
    return null;
  }

  /** What was deleted there is brought back where text was typed for it here. */
  async #back(operation: Operation): Promise<Thing | null> {
    const { kind, target, body } = operation;
    if (kind !== "task" || !TYPED.some((field) => field in body)) return null;
    const back = await this.#sender.restore(target);
    if (back) this.queue.tell(operation, "deleted");
    return back;
  }

  /** Both sides have changed the same: tells so, and gives what is sent all the same. */
  #conflict(operation: Operation, theirs: Thing, body: Fields, both: string[]): Fields {
    const { kind, seen } = operation;
    const mine = pick(operation.body, both);
    const texts = kind === "task" ? both.filter((field) => TYPED.includes(field)) : [];
    const left = without(body, texts);
    let copy: string | undefined;
    if (texts.length > 0) {
      // What was typed later went on from the text of here, and belongs to it.
      for (const one of this.queue.later(operation)) {
        if (one.what !== "change") continue;
        Object.assign(mine, pick(one.body, texts));
        this.#shorten(one, texts);
      }
      copy = this.queue.insert(operation, kind, copied({ ...theirs, ...left }, mine));
    }
    this.queue.tell(operation, "changed", { mine, seen: pick(seen, both), theirs: pick(theirs, both), ...(copy && { copy }) });
    return left;
  }

  #shorten(operation: Operation, fields: string[]): void {
    const body = without(operation.body, fields);
    if (Object.keys(body).length > 0) this.queue.put({ ...operation, body });
    else this.queue.drop(operation);
  }

  /** It is not there any more. What was typed for a task becomes another one. */
  #gone(operation: Operation): void {
    const { kind, seen } = operation;
    const mine = this.#folded(operation);
    const copy = kind === "task" && TYPED.some((field) => field in mine) ? this.queue.insert(operation, kind, copied(seen, mine)) : undefined;
    this.queue.tell(operation, "deleted", { mine, ...(copy && { copy }) });
    this.queue.drop(operation);
  }

  /** What all operations from here on would have made of it, which are dropped. */
  #folded(operation: Operation): Fields {
    const mine = { ...operation.body };
    for (const one of this.queue.later(operation)) {
      if (one.what === "change") Object.assign(mine, one.body);
      this.queue.drop(one);
    }
    return mine;
  }

  async #remove(operation: Operation, again: boolean): Promise<void> {
    const { kind, target, seen } = operation;
    // Somebody may have brought it back since.
    if (again && (await this.#arrived(operation))) return this.queue.confirm(operation, null);
    let theirs = this.queue.known(kind, target) ?? (await this.#sender.find(kind, target));
    while (theirs && this.queue.get(operation)) {
      if (textChanged(seen, theirs)) {
        this.queue.tell(operation, "kept", { mine: {}, theirs });
        return this.queue.drop(operation);
      }
      operation = { ...operation, version: versionOf(theirs) };
      await this.#sending(operation);
      try {
        await this.#sender.remove(kind, target, operation.version!);
        return this.queue.confirm(operation, null);
      } catch (error) {
        if (!is(error, "changed_meanwhile")) throw error;
        theirs = await this.#sender.find(kind, target);
      }
    }
    this.queue.drop(operation);
  }

  /** What comes to the same however often it is sent. */
  async #once(operation: Operation): Promise<void> {
    await this.saved();
    const answer = await this.#sender.once(operation);
    if (answer) return this.queue.confirm(operation, answer);
    if (operation.what === "restore") this.queue.tell(operation, "deleted");
    this.queue.drop(operation);
  }

  #refused(played: Operation, { code, message, fields }: TodolistError): void {
    const operation = this.queue.get(played); // as it was sent
    if (!operation) return;
    const { kind, target, what, body } = operation;
    const error = { code, message, fields };
    const theirs = this.queue.known(kind, target);
    const wrong = Object.keys(fields).filter((field) => field in body);
    const rest = without(body, wrong);
    // The rest of it may do, such as a task without a project that is not there any more.
    const partly = wrong.length > 0 && Object.keys(rest).length > 0 && !(what === "create" && wrong.some((field) => TYPED.includes(field)));
    const mine = partly ? pick(body, wrong) : what === "create" ? this.#folded(operation) : body;
    this.queue.tell(operation, "refused", { mine, theirs, error });
    if (partly) return this.queue.put({ ...operation, body: rest, sent: false });
    if (what === "create") this.queue.rename(target, null);
    this.queue.drop(operation);
  }
}

function pick(thing: object, fields: string[]): Fields {
  return Object.fromEntries(Object.entries(thing).filter(([field]) => fields.includes(field)));
}

function without(thing: Fields, fields: string[]): Fields {
  return Object.fromEntries(Object.entries(thing).filter(([field]) => !fields.includes(field)));
}
