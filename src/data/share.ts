/** One of several processes that share every batch. */
export interface Share {
  /** From 0. */
  readonly index: number;
  readonly count: number;
}

/**
 * The part of a batch of samples `start` to `end` that one process has. Parts follow each other and differ by one sample
 * at most; no part has a single sample where it could have two, as batch norm has no variance then.
 */
export function shareOf(start: number, end: number, { index, count }: Share): { start: number; end: number } {
  const samples = end - start;
  const parts = Math.max(1, Math.min(count, Math.floor(samples / 2)));
  const before = (part: number) => start + Math.floor((Math.min(part, parts) * samples) / parts);
  return { start: before(index), end: before(index + 1) };
}
