/** What nobody waits for: shown where mistakes of a page are. */
export function report(error: unknown): void {
  if (typeof reportError === "function") reportError(error);
  else console.error(error);
}
