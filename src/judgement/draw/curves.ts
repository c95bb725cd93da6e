import { type Drawing, extent } from '../../page/svg.ts';
import { isNumber, type Line, linePanel, type Point } from './lines.ts';
import { dashOf } from './marker.ts';

export interface Curve {
  /** Which method: its colour and dash. */
  readonly method: number;
  /** Each run's (epoch, value); `null` where there is none. */
  readonly runs: readonly (readonly Point[])[];
}

export interface CurveOptions {
  /** Grey dashed: what the others are seen against. Default none. */
  readonly reference?: Curve['runs'];
  /** The scale; default that of the curves. */
  readonly domain?: readonly [number, number];
  readonly width?: number;
}

/** Curves over epochs, from the first to `lastEpoch`: each run thin, the mean over runs bold where all runs have a value. */
export function curvePanel(
  title: string,
  curves: readonly Curve[],
  lastEpoch: number,
  { reference, domain = curveDomain(curves), width }: CurveOptions = {},
): Drawing {
  const lines = curves.flatMap(({ method, runs }): Line[] => [
    ...(runs.length > 1
      ? runs.map((points): Line => ({ points: within(points, domain), kind: 'run', series: method }))
      : []),
    {
      points: within(meanCurve(runs), domain),
      kind: 'mean',
      series: method,
      // A reference is dashed itself.
      dash: reference === undefined ? dashOf(method) : undefined,
    },
  ]);
  return linePanel({
    label: `${title} over epochs`,
    lines: [
      ...(reference ? [{ points: within(meanCurve(reference), domain), kind: 'reference' as const }] : []),
      ...lines,
    ],
    x: { name: 'epoch', domain: [Math.min(1, lastEpoch), lastEpoch], whole: true },
    y: { domain },
    ...(width !== undefined && { width }),
  });
}

/**
 * A scale for all these curves. Shares and losses are never negative: an axis that says so would mislead. A first epoch far
 * from all others would flatten them: where it more than doubles the scale, it is left out of it.
 */
export function curveDomain(curves: readonly Curve[]): [number, number] {
  const points = curves.flatMap(({ runs }) => runs.flatMap((run) => run.filter(([, v]) => isNumber(v))));
  const first = Math.min(...points.map(([epoch]) => epoch));
  const values = (some: readonly Point[]) => some.map(([, v]) => v as number);
  const later = values(points.filter(([epoch]) => epoch > first));
  const [all, most] = [spanOf(values(points)), spanOf(later)];
  const known = later.length > curves.length && most > 0 && all > 2 * most ? later : values(points);
  const [low, high] = extent(known);
  return [known.every((v) => v >= 0) ? Math.max(0, low) : low, high];
}

/** What of a curve's mean lies beyond a scale: said in words where it is not drawn. */
export function beyond(
  curve: Curve,
  [low, high]: readonly [number, number],
): readonly (readonly [number, number])[] {
  return meanCurve(curve.runs).flatMap(([epoch, v]) =>
    isNumber(v) && (v < low || v > high) ? [[epoch, v] as const] : [],
  );
}

function spanOf(values: readonly number[]): number {
  return values.length === 0 ? 0 : Math.max(...values) - Math.min(...values);
}

/** What lies beyond the scale is not drawn. */
function within(points: readonly Point[], [low, high]: readonly [number, number]): Point[] {
  return points.map(([epoch, v]) => [epoch, isNumber(v) && v >= low && v <= high ? v : null]);
}

/** The mean over runs at each epoch that all of them have a value for. */
export function meanCurve(runs: Curve['runs']): [number, number | null][] {
  const sums = new Map<number, { sum: number; count: number }>();
  for (const run of runs) {
    for (const [epoch, value] of run) {
      const entry = sums.get(epoch) ?? { sum: 0, count: 0 };
      if (isNumber(value)) {
        entry.sum += value;
        entry.count++;
      }
      sums.set(epoch, entry);
    }
  }
  return [...sums]
    .sort(([a], [b]) => a - b)
    .map(([epoch, { sum, count }]) => [epoch, count === runs.length ? sum / count : null]);
}
