import { type Drawing, drawing, linear, type Markup, tag } from '../../page/svg.ts';

const PAD = 6;

/**
 * Points of a projection in a square. The axes of t-SNE and UMAP have no unit, so there are none; both directions have
 * one scale, and the points fill the square.
 * @param points M×2, row-major; a point that is not a number is left out
 * @param groups the group of each of the M points: its colour and shape
 */
export function scatterPanel(
  label: string,
  points: readonly (number | null)[],
  groups: readonly number[],
  width = 280,
): Drawing {
  const [x, y] = scales(points, width);
  const r = groups.length > 1500 ? 1.3 : groups.length > 400 ? 1.8 : 2.5;
  const paths = new Map<number, string[]>();
  groups.forEach((group, i) => {
    const [px, py] = [points[2 * i], points[2 * i + 1]];
    if (!isPlace(px) || !isPlace(py)) return;
    const path = paths.get(group);
    const drawn = dot(group, x(px), y(py), r);
    if (path === undefined) paths.set(group, [drawn]);
    else path.push(drawn);
  });
  return drawing(
    width,
    width,
    label,
    tag('rect', { class: 'box', x: 0.5, y: 0.5, width: width - 1, height: width - 1 }),
    [...paths].sort(([a], [b]) => a - b).map(([group, parts]) => groupPath(group, parts.join(''), r)),
  );
}

/** A group's mark for a legend, around (15, 6). */
export function groupMark(group: number): Markup {
  return groupPath(group, dot(group, 15, 6, 3.6), 3.6);
}

/** Classes have colours of their own: no method has one of them. */
const CLASS_COLOURS = 9;
/** Colour and shape together repeat after 36 groups. */
const MOST_GROUPS = 36;
/** More than these are hard to tell apart. */
const MOST_COLOURS = 12;

/** Classes where they can be told apart, else what is coarser, else the commonest classes and all others as one. */
export function groupsOf(
  labels: readonly number[],
  classes: readonly string[],
  strata: Readonly<Record<string, readonly string[]>>,
): { names: string[]; groups: number[]; by: string } {
  if (classes.length <= MOST_COLOURS) return { names: [...classes], groups: [...labels], by: 'class' };
  const coarse = Object.entries(strata)
    .map(([attribute, values]) => ({ attribute, values, names: [...new Set(values)] }))
    .filter(({ names }) => names.length > 1 && names.length <= MOST_GROUPS)
    .sort(
      (a, b) =>
        Number(a.names.length > MOST_COLOURS) - Number(b.names.length > MOST_COLOURS) ||
        b.names.length - a.names.length,
    )[0];
  if (coarse !== undefined) {
    const { attribute, values, names } = coarse;
    return { names, groups: labels.map((y) => names.indexOf(values[y]!)), by: attribute };
  }
  const counts = new Array<number>(classes.length).fill(0);
  for (const y of labels) counts[y]!++;
  const common = classes
    .map((_, k) => k)
    .sort((a, b) => counts[b]! - counts[a]! || a - b)
    .slice(0, MOST_COLOURS - 1);
  const groups = labels.map((y) => (common.includes(y) ? common.indexOf(y) : MOST_COLOURS - 1));
  return {
    names: [...common.map((k) => classes[k]!), `${classes.length - common.length} other classes`],
    groups,
    by: 'class, the commonest ones',
  };
}

function groupPath(group: number, d: string, r: number): Markup {
  return tag(
    'g',
    { class: `k${group % CLASS_COLOURS} points` },
    tag('path', { class: 'stroked', fill: 'none', d, opacity: 0.8, 'stroke-width': Math.max(0.8, 0.4 * r) }),
  );
}

/** A class's mark, none of which is a method's: a plus, a cross, a ring or a triangle on its head. */
function dot(group: number, x: number, y: number, r: number): string {
  const n = (v: number) => String(Number(v.toFixed(1)));
  switch (group % 4) {
    case 0:
      return `M${n(x - r)} ${n(y)}h${n(2 * r)}M${n(x)} ${n(y - r)}v${n(2 * r)}`;
    case 1:
      return `M${n(x - 0.8 * r)} ${n(y - 0.8 * r)}l${n(1.6 * r)} ${n(1.6 * r)}m0 ${n(-1.6 * r)}l${n(-1.6 * r)} ${n(1.6 * r)}`;
    case 2:
      return `M${n(x - r)} ${n(y)}a${n(r)} ${n(r)} 0 1 0 ${n(2 * r)} 0a${n(r)} ${n(r)} 0 1 0 ${n(-2 * r)} 0`;
    default:
      return `M${n(x)} ${n(y + 1.2 * r)}l${n(1.2 * r)} ${n(-2.2 * r)}h${n(-2.4 * r)}z`;
  }
}

function scales(points: readonly (number | null)[], width: number) {
  const ends = [0, 1].map((axis) => {
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (let i = axis; i < points.length; i += 2) {
      const v = points[i];
      if (!isPlace(v)) continue;
      low = Math.min(low, v);
      high = Math.max(high, v);
    }
    return low > high ? ([0, 0] as const) : ([low, high] as const);
  });
  const half = Math.max(...ends.map(([low, high]) => (high - low) / 2));
  return ends.map(([low, high], axis) => {
    const middle = (low + high) / 2;
    const range: [number, number] = axis === 0 ? [PAD, width - PAD] : [width - PAD, PAD];
    return linear([middle - half, middle + half], range);
  }) as [(v: number) => number, (v: number) => number];
}

function isPlace(v: number | null | undefined): v is number {
  return typeof v === 'number' && Number.isFinite(v);
}
