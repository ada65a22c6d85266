/** What nobody waits for: shown where mistakes of a page are. */
export function report(error: unknown): void {
  (globalThis.reportError ?? console.error)(error);
}
