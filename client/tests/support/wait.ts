export const sleep = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Asks until the answer is true, and gives it. */
export async function until<T>(condition: () => T | Promise<T>, what: string, seconds = 10): Promise<T> {
  for (const end = Date.now() + seconds * 1000; ; await sleep(10)) {
    const answer = await condition();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
  }
}
