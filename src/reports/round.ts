/** Six decimals are more than any wording holds, and keep 1 − 0.839 from printing as 0.16100000000000003. */
export function round(x: number): number {
  return Math.round(x * 1e6) / 1e6;
}
