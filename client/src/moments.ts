/**
 * Compares moments as the server writes them. As text they sort wrongly, for a fraction of zero is left out:
 * "…:00.5Z" is later than "…:00Z", and as text it is less. `Date` drops microseconds.
 */
export function compareMoments(a: string, b: string): number {
  const [one, other] = [padded(a), padded(b)];
  return one < other ? -1 : one > other ? 1 : 0;
}

function padded(moment: string): string {
  return moment.slice(0, 19) + moment.slice(20).replace("Z", "").padEnd(6, "0");
}
