/**
 * A small builder of HTML and SVG text. Markup is a type of its own, so that text from data cannot get in unescaped:
 * a string child is escaped, only what `tag` and `text` made is not.
 */
export class Markup {
  readonly html: string;

  constructor(html: string) {
    this.html = html;
  }

  toString(): string {
    return this.html;
  }
}

export type Child = Markup | string | readonly Child[] | undefined;
export type Attributes = Readonly<Record<string, string | number | undefined>>;

const VOID = new Set([
  'meta',
  'br',
  'hr',
  'line',
  'rect',
  'circle',
  'path',
  'polyline',
  'polygon',
  'col',
  'img',
  'input',
]);

/**
 * An element. Attributes that are `undefined` are left out; numbers are written with at most two decimals.
 * @throws RangeError where a number is not finite: a coordinate of NaN would silently draw nothing.
 */
export function tag(name: string, attributes: Attributes = {}, ...children: Child[]): Markup {
  let head = name;
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined)
      head += ` ${key}="${escapeHtml(typeof value === 'number' ? coordinate(value) : value)}"`;
  }
  const inner = markup(children).html;
  if (VOID.has(name) && inner === '') {
    return new Markup(
      name === 'meta' ||
        name === 'br' ||
        name === 'hr' ||
        name === 'col' ||
        name === 'img' ||
        name === 'input'
        ? `<${head}>`
        : `<${head}/>`,
    );
  }
  return new Markup(`<${head}>${inner}</${name}>`);
}

/** Children joined, strings escaped. */
export function markup(children: readonly Child[]): Markup {
  let html = '';
  for (const child of children) {
    if (child === undefined) continue;
    if (child instanceof Markup) html += child.html;
    else if (typeof child === 'string') html += escapeHtml(child);
    else html += markup(child).html;
  }
  return new Markup(html);
}

/** Text for HTML and XML alike. What no XML document may hold (control characters, half a surrogate) becomes `\uFFFD`. */
export function escapeHtml(text: string): string {
  return text
    .toWellFormed()
    .replace(/(?![\t\n\r])\p{Cc}|\p{Noncharacter_Code_Point}/gu, '\uFFFD')
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/"/g, '&quot;')
    .replace(/'/g, '&#39;');
}

/** A picture that can stand in a page or be a part of a file: its size in px, what it shows in words, and its elements. */
export interface Drawing {
  readonly width: number;
  readonly height: number;
  readonly label: string;
  readonly body: Markup;
}

export function drawing(width: number, height: number, label: string, ...children: Child[]): Drawing {
  return { width, height, label, body: markup(children) };
}

/** A drawing inside a page, as wide as its column; its label is what a screen reader says. */
export function inline({ width, height, label, body }: Drawing): Markup {
  return tag('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label }, body);
}

export type Scale = (value: number) => number;

/** Maps [d0, d1] to [r0, r1] linearly; a domain of no width maps to the middle. */
export function linear(domain: readonly [number, number], range: readonly [number, number]): Scale {
  const [d0, d1] = domain;
  const [r0, r1] = range;
  return d1 === d0 ? () => (r0 + r1) / 2 : (value) => r0 + ((value - d0) / (d1 - d0)) * (r1 - r0);
}

export interface Ticks {
  readonly values: readonly number[];
  /** Decimals that tell neighbours apart. */
  readonly digits: number;
}

/** About `count` round numbers (1, 2 or 5 times a power of ten) inside [low, high]. */
export function ticks(low: number, high: number, count: number): Ticks {
  if (!(high > low)) return { values: [low], digits: 2 };
  const rough = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((m) => m * power >= rough * 0.999) ?? 10);
  const values: number[] = [];
  const first = Math.ceil(low / step - 1e-9);
  for (let i = first; i * step <= high + step * 1e-9; i++) values.push(i * step);
  return { values, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

/**
 * The least and the greatest of the finite numbers, widened by `margin` of their span; [0, 1] where there is none. The
 * span is at least `least`, so that a picture does not blow up what the numbers on the page do not show.
 */
export function extent(values: Iterable<number>, margin = 0.06, least = 0): [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const v of values) {
    if (!Number.isFinite(v)) continue;
    low = Math.min(low, v);
    high = Math.max(high, v);
  }
  if (low > high) return [0, 1];
  const span = Math.max(high - low, least) || Math.abs(low) * 0.2 || 1;
  const spare = (span - (high - low)) / 2 + margin * span;
  return [low - spare, high + spare];
}

function coordinate(value: number): string {
  if (!Number.isFinite(value)) throw new RangeError(`A coordinate of a picture is ${value}.`);
  return String(Number(value.toFixed(2)));
}

/** The pattern of an under-confident gap: it has to be once in every document. */
export const HATCH = tag(
  'defs',
  {},
  tag(
    'pattern',
    { id: 'hatch', width: 4, height: 4, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' },
    tag('line', { class: 'hatch', x1: 0, y1: 0, x2: 0, y2: 4 }),
  ),
);
