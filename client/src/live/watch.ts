// Notices a server that is connected and does not answer: at most so long after its last word.
const QUIET = 4_000;
const ANSWER_WITHIN = 4_000;
// While nobody looks, there is no hurry, and a phone may sleep.
const QUIET_IN_BACKGROUND = 25_000;

/** Asks a server that has been quiet, and calls out where it does not answer. */
export class Watch {
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly send: () => void,
    private readonly missed: () => void,
  ) {}

  /** Any message is a sign of life. */
  heard(): void {
    const hidden = globalThis.document?.visibilityState === "hidden";
    this.#in(hidden ? QUIET_IN_BACKGROUND : QUIET, () => this.ask());
  }

  ask(): void {
    this.send();
    this.expect(ANSWER_WITHIN);
  }

  expect(within: number): void {
    this.#in(within, this.missed);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #in(milliseconds: number, then: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(then, milliseconds);
  }
}
