/** What of this process's memory is in use: resident, without what V8 holds ready. Needs a collection beforehand. */
export function bytesInUse(): number {
  const { rss, heapTotal, heapUsed } = process.memoryUsage();
  return rss - heapTotal + heapUsed;
}

/** Steps after which memory that still grows is a leak. */
const MOST_STEPS = 160_000;

/**
 * Bytes a step by which memory grows for good. Heaps, caches and compiled code grow by some MB and stop, sooner or later
 * from machine to machine; a leak never stops. So growth is looked at from 5,000 to 10,000 steps, and while it is not
 * below `limit`, over twice as many: B bytes that come once weigh B/80,000 in the end, a leak what it always did.
 *
 * @param advance runs on until so many steps are done in all
 * @param measure bytes in use
 * @param limit bytes a step
 */
export async function growth(
  advance: (steps: number) => void | Promise<void>,
  measure: () => number,
  limit: number,
): Promise<number> {
  await advance(5000);
  let before = measure();
  for (let steps = 10_000; ; steps *= 2) {
    await advance(steps);
    const after = measure();
    const perStep = (after - before) / (steps / 2);
    if (perStep < limit || steps === MOST_STEPS) return perStep;
    before = after;
  }
}
