/** One line a step: what is going on, for how long; on stderr, so that a command's own output stays clean. */

/**
 * @param {string} title
 * @returns {{note(text: string): void, end(summary: string): void, stop(): void}}
 */
export function startLine(title) {
  const start = performance.now();
  const terminal = process.stderr.isTTY === true;
  const seconds = () => `${((performance.now() - start) / 1000).toFixed(1)} s`;
  const clear = () => terminal && process.stderr.write('\r\x1b[K');
  const draw = () => process.stderr.write(`\r\x1b[K${title} … ${seconds()}`);
  if (terminal) draw();
  else process.stderr.write(`${title} …\n`);
  // Without a terminal a sign of life now and then: a log that stands still looks like a hang.
  const timer = terminal
    ? setInterval(draw, 200)
    : setInterval(() => process.stderr.write(`${title}: still at it, ${seconds()}\n`), 15_000);
  const finish = () => {
    clearInterval(timer);
    clear();
  };
  return {
    note(text) {
      clear();
      process.stderr.write(`${title}: ${text}\n`);
    },
    end(summary) {
      finish();
      process.stderr.write(`${title}: ${summary} (${seconds()})\n`);
    },
    stop: finish,
  };
}
