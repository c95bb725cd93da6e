import { runsOf, widthOf } from './letters.ts';
import { operator, outlineOf, pdfNumber } from './outline.ts';
import { type Element, numbers } from './parse.ts';
import { INITIAL, type Rule, type Style, styleOf, styleRules } from './style.ts';

/** A page's content. */
export interface PdfDrawing {
  /** Of the page, in pt. */
  readonly width: number;
  readonly height: number;
  /** Operators (ISO 32000-1, 8 and 9). */
  readonly content: string;
  /** The opacities that are used: the graphics state of each is named `o` with its place here. */
  readonly opacities: readonly number[];
}

/** What a figure's SVG draws. */
export function drawing(root: Element): PdfDrawing {
  const [, , boxWidth, boxHeight] = numbers(root.attributes.viewBox ?? '');
  if (!boxWidth || !boxHeight) throw new RangeError('An SVG without a viewBox has no size.');
  const points = (text: string | undefined, otherwise: number) =>
    text?.endsWith('mm') ? (Number.parseFloat(text) * 72) / 25.4 : otherwise;
  const width = points(root.attributes.width, boxWidth);
  const height = points(root.attributes.height, boxHeight);
  const pen = new Pen();
  // SVG counts from the top, PDF from the bottom.
  pen.put([width / boxWidth, 0, 0, -height / boxHeight, 0, height], 'cm');
  draw(root, [], INITIAL, styleRules(root), pen);
  return { width, height, content: pen.content(), opacities: pen.opacities };
}

/** What is not drawn where it stands. */
const SILENT = new Set(['title', 'desc', 'style', 'defs']);

function draw(
  element: Element,
  above: readonly Element[],
  inherited: Style,
  rules: readonly Rule[],
  pen: Pen,
): void {
  if (SILENT.has(element.name)) return;
  const line = [...above, element];
  const style = styleOf(line, inherited, rules);
  const { transform } = element.attributes;
  if (transform !== undefined) {
    pen.put([], 'q');
    for (const matrix of matricesOf(transform)) pen.put(matrix, 'cm');
  }
  if (element.name === 'text') pen.text(element, style);
  else {
    const outline = outlineOf(element);
    if (outline !== undefined) pen.shape(element, outline, style);
  }
  for (const child of element.children) draw(child, line, style, rules, pen);
  if (transform !== undefined) pen.put([], 'Q');
}

/** `translate(x y)` and `rotate(degrees)`, as matrices of PDF. */
function matricesOf(transform: string): number[][] {
  return [...transform.matchAll(/(\w+)\(([^)]*)\)/g)].map(([, kind, inner]) => {
    const [a = 0, b = 0] = numbers(inner!);
    if (kind === 'translate') return [1, 0, 0, 1, a, b];
    if (kind !== 'rotate') throw new RangeError(`Pictures know no ${kind}.`);
    const angle = (a * Math.PI) / 180;
    return [Math.cos(angle), Math.sin(angle), -Math.sin(angle), Math.cos(angle), 0, 0];
  });
}

/** Writes operators. */
class Pen {
  readonly opacities: number[] = [];
  private readonly lines: string[] = [];

  put(operands: readonly number[], name: string): void {
    this.lines.push(operator(operands, name));
  }

  content(): string {
    return this.lines.join('\n');
  }

  shape(element: Element, outline: string, style: Style): void {
    const hatched = style.fill.startsWith('url(');
    const filled = style.fill !== 'none' && !hatched && element.name !== 'line';
    const stroked = style.stroke !== 'none' && Number(style['stroke-width']) > 0;
    if (hatched) this.hatch(element, outline, Number(style.opacity));
    if (filled) {
      this.put([], 'q');
      this.opacity(Number(style.opacity) * Number(style['fill-opacity']));
      this.put(colour(style.fill), 'rg');
      this.lines.push(outline, 'f', 'Q');
    }
    if (!stroked) return;
    this.put([], 'q');
    this.opacity(Number(style.opacity));
    this.put(colour(style.stroke), 'RG');
    this.put([Number.parseFloat(style['stroke-width'])], 'w');
    if (style['stroke-linecap'] === 'round') this.put([1], 'J');
    const dashes = numbers(style['stroke-dasharray']);
    if (dashes.length > 0) this.lines.push(`[${dashes.map(pdfNumber).join(' ')}] 0 d`);
    this.lines.push(outline, 'S', 'Q');
  }

  /** As the page's pattern: strokes from the lower left to the upper right, 4 apart. */
  private hatch({ attributes }: Element, outline: string, opacity: number): void {
    const [x = 0, y = 0, width = 0, height = 0] = ['x', 'y', 'width', 'height'].map((key) =>
      Number(attributes[key] ?? 0),
    );
    this.lines.push('q', outline, 'W n');
    this.opacity(opacity);
    this.put(colour(HATCH_COLOUR), 'RG');
    this.put([HATCH_WIDTH], 'w');
    const apart = HATCH_STEP * Math.SQRT2;
    const first = Math.ceil((x + y) / apart) * apart;
    for (let sum = first; sum < x + y + width + height; sum += apart)
      this.lines.push(operator([sum - y, y], 'm'), operator([sum - y - height, y + height], 'l'));
    this.lines.push('S', 'Q');
  }

  text({ text, attributes }: Element, style: Style): void {
    const size = Number.parseFloat(style['font-size']);
    const runs = runsOf(text.trim(), Number(style['font-weight']) >= 600);
    const width = (widthOf(runs) * size) / 1000;
    const back = { start: 0, middle: width / 2, end: width }[style['text-anchor']] ?? 0;
    this.put([], 'q');
    this.opacity(Number(style.opacity));
    this.put(colour(style.fill), 'rg');
    this.lines.push('BT');
    this.put([1, 0, 0, -1, Number(attributes.x ?? 0) - back, Number(attributes.y ?? 0)], 'Tm');
    for (const { font, codes } of runs) {
      const hex = codes.map((code) => code.toString(16).padStart(2, '0')).join('');
      this.lines.push(`/${font} ${pdfNumber(size)} Tf <${hex}> Tj`);
    }
    this.lines.push('ET', 'Q');
  }

  private opacity(value: number): void {
    if (value >= 1) return;
    const known = this.opacities.indexOf(value);
    this.lines.push(`/o${known < 0 ? this.opacities.push(value) - 1 : known} gs`);
  }
}

/** The pattern of an under-confident gap (`HATCH` of pictures); its tile shows half of its line. */
const HATCH_COLOUR = '#b3261e';
const HATCH_STEP = 4;
const HATCH_WIDTH = 0.8;

/** `#rgb` and `#rrggbb` as three shares. */
function colour(hex: string): number[] {
  const digits = hex.length === 4 ? [...hex.slice(1)].map((d) => d + d) : hex.slice(1).match(/../g);
  if (!hex.startsWith('#') || digits?.length !== 3) throw new RangeError(`Pictures know no colour ${hex}.`);
  return digits.map((pair) => Number.parseInt(pair, 16) / 255);
}
