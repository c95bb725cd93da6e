/**
 * Milliseconds of processor time that this process spends on `work`, which does not wait for anything. On a busy machine
 * the clock on the wall says how busy it is.
 */
export function cpuMilliseconds(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
