/** Progress on stderr: a bar with rate and time left in a terminal, a plain line now and then everywhere else. */

export interface ProgressOptions {
  /** What is going on, in a few words: `epoch 3/10`. */
  label: string;
  /** How much there is to do, in units; 0 where that is not known. */
  total: number;
  /** The name of a unit, for the rate. Default `it`. */
  unit?: string;
  /** Where to write. Default: stderr. */
  stream?: { isTTY?: boolean; columns?: number; write(text: string): unknown };
  /** Milliseconds from any fixed moment. Default: `performance.now`. */
  now?: () => number;
}

export interface Progress {
  /**
   * @param done units done so far, not the last ones only
   * @param info more for the end of the line: `loss 0.41`
   */
  update(done: number, info?: string): void;
  /** Ends the line. Without it a terminal's cursor stays on the bar. Calling it again does nothing. */
  done(info?: string): void;
}

/** Cheap enough to `update` every step: it draws at most ten times a second, and makes no string in between. */
export function createProgress(options: ProgressOptions): Progress {
  const { label, total, unit = 'it', stream = process.stderr, now = () => performance.now() } = options;
  const terminal = stream.isTTY === true;
  const start = now();
  const rate = createRate(start);
  let done = 0;
  let info = '';
  let ended = false;
  let lastDraw = terminal ? Number.NEGATIVE_INFINITY : start;
  let lastTenth = 0;

  const draw = (time: number, last: boolean) => {
    lastDraw = time;
    const seconds = (time - start) / 1000;
    // While it runs: the rate of the last seconds, which tells the time left. At the end: that of the whole.
    const perSecond = last ? done / Math.max(seconds, 1e-9) : rate.value();
    const parts = [total > 0 ? `${done}/${total}` : `${done}`, `${formatRate(perSecond)} ${unit}/s`];
    if (last) parts.push(formatDuration(seconds));
    else if (total > 0 && perSecond > 0) parts.push(`${formatDuration((total - done) / perSecond)} left`);
    if (info !== '') parts.push(info);
    const text = parts.join('  ');
    if (!terminal) {
      stream.write(total > 0 ? `${label}: ${percent(done, total)}  ${text}\n` : `${label}: ${text}\n`);
      return;
    }
    const line =
      total > 0 ? `${label} ${bar(done / total)} ${percent(done, total)}  ${text}` : `${label}  ${text}`;
    // A line that wraps cannot be drawn over. One column stays free: some terminals wrap at the last one.
    const columns = (stream.columns || 80) - 1;
    stream.write(
      `\r\x1b[K${line.length > columns ? `${line.slice(0, Math.max(columns - 1, 0))}…` : line}${last ? '\n' : ''}`,
    );
  };

  return {
    update(count, text = '') {
      if (ended) return;
      const time = now();
      done = count;
      info = text;
      rate.add(time, count);
      if (terminal) {
        if (time - lastDraw >= drawEvery) draw(time, false);
        return;
      }
      // Short jobs speak at every tenth, long ones also when nothing was heard for a while.
      const tenth = total > 0 ? Math.floor((10 * count) / total) : 0;
      const silence = time - lastDraw;
      if ((tenth > lastTenth && silence >= plainAtLeast) || silence >= plainAtMost) {
        lastTenth = tenth;
        if (total === 0 || count < total) draw(time, false);
      }
    },
    done(text) {
      if (ended) return;
      ended = true;
      if (text !== undefined) info = text;
      draw(now(), true);
    },
  };
}

/** 3 s, 1 min 05 s, 2 h 07 min. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${String(whole % 60).padStart(2, '0')} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/** Milliseconds. */
const drawEvery = 100;
const plainAtLeast = 2_000;
const plainAtMost = 15_000;
const window = 10_000;
const barWidth = 20;

/** Units per second over about the last ten seconds: the first steps of a job, which warm up, are forgotten. */
function createRate(start: number): { add(time: number, count: number): void; value(): number } {
  let oldTime = start;
  let oldCount = 0;
  let midTime = start;
  let midCount = 0;
  let time = start;
  let count = 0;
  return {
    // Two overlapping windows instead of a queue: nothing is allocated per step.
    add(newTime, newCount) {
      time = newTime;
      count = newCount;
      if (time - midTime >= window / 2) {
        oldTime = midTime;
        oldCount = midCount;
        midTime = time;
        midCount = count;
      }
    },
    value: () => (time > oldTime ? Math.max(0, count - oldCount) / ((time - oldTime) / 1000) : 0),
  };
}

function bar(fraction: number): string {
  const full = Math.round(barWidth * Math.min(1, Math.max(0, fraction)));
  return `${'█'.repeat(full)}${'░'.repeat(barWidth - full)}`;
}

function percent(done: number, total: number): string {
  return `${Math.floor((100 * done) / total)} %`;
}

function formatRate(perSecond: number): string {
  return perSecond >= 100
    ? perSecond.toFixed(0)
    : perSecond >= 10
      ? perSecond.toFixed(1)
      : perSecond.toFixed(2);
}
