import { type Element, numbers } from './parse.ts';

/** An element's outline in operators of PDF (ISO 32000-1, 8.5.2); undefined for one that has none. */
export function outlineOf({ name, attributes }: Element): string | undefined {
  const at = (key: string) => Number(attributes[key] ?? 0);
  switch (name) {
    case 'rect':
      return operator([at('x'), at('y'), at('width'), at('height')], 're');
    case 'line':
      return `${operator([at('x1'), at('y1')], 'm')} ${operator([at('x2'), at('y2')], 'l')}`;
    case 'circle': {
      const r = at('r');
      return pathOf(`M${at('cx') - r} ${at('cy')}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`);
    }
    case 'polygon':
      return pathOf(`M${attributes.points ?? ''}z`);
    case 'path':
      return pathOf(attributes.d ?? '');
    default:
      return undefined;
  }
}

/** How many numbers a command of a path takes at a time. */
const TAKES: Readonly<Record<string, number>> = { m: 2, l: 2, h: 1, v: 1, a: 7 };

/** A path's data. @throws RangeError for a command that no picture uses */
function pathOf(d: string): string {
  const out: string[] = [];
  let [x, y] = [0, 0];
  let start: readonly [number, number] = [0, 0];
  for (const [, command, inner] of d.matchAll(/([a-df-z])([^a-df-z]*)/gi)) {
    const kind = command!.toLowerCase();
    if (kind === 'z') {
      out.push('h');
      [x, y] = start;
      continue;
    }
    const takes = TAKES[kind];
    if (takes === undefined) throw new RangeError(`Pictures know no path command ${command}.`);
    const values = numbers(inner!);
    for (let i = 0; i + takes <= values.length; i += takes) {
      const own = values.slice(i, i + takes);
      const [baseX, baseY] = command === kind ? [x, y] : [0, 0];
      const [nextX, nextY] =
        kind === 'h'
          ? [own[0]! + baseX, y]
          : kind === 'v'
            ? [x, own[0]! + baseY]
            : [own.at(-2)! + baseX, own.at(-1)! + baseY];
      if (kind === 'a') out.push(...arc([x, y], [nextX, nextY], own[0]!, own[3] === 1, own[4] === 1));
      // Further points of a move are lines.
      else out.push(operator([nextX, nextY], kind === 'm' && i === 0 ? 'm' : 'l'));
      if (kind === 'm' && i === 0) start = [nextX, nextY];
      [x, y] = [nextX, nextY];
    }
  }
  return out.join(' ');
}

/** A circle's arc as Bézier curves of at most a quarter each (SVG 1.1, F.6.5). */
function arc(
  [x1, y1]: readonly [number, number],
  [x2, y2]: readonly [number, number],
  radius: number,
  large: boolean,
  sweep: boolean,
): string[] {
  const [dx, dy] = [(x1 - x2) / 2, (y1 - y2) / 2];
  const half = Math.hypot(dx, dy);
  if (half === 0) return [];
  const r = Math.max(radius, half);
  const side = (large === sweep ? -1 : 1) * Math.sqrt((r * r - half * half) / (half * half));
  const [cx, cy] = [side * dy + (x1 + x2) / 2, -side * dx + (y1 + y2) / 2];
  const from = Math.atan2(y1 - cy, x1 - cx);
  let turn = Math.atan2(y2 - cy, x2 - cx) - from;
  if (sweep && turn < 0) turn += 2 * Math.PI;
  if (!sweep && turn > 0) turn -= 2 * Math.PI;
  const pieces = Math.ceil(Math.abs(turn) / (Math.PI / 2) - 1e-9);
  const step = turn / pieces;
  const k = (4 / 3) * Math.tan(step / 4) * r;
  return Array.from({ length: pieces }, (_, i) => {
    const [a, b] = [from + i * step, from + (i + 1) * step];
    const [startX, startY] = [cx + r * Math.cos(a), cy + r * Math.sin(a)];
    const [endX, endY] = [cx + r * Math.cos(b), cy + r * Math.sin(b)];
    return operator(
      [
        startX - k * Math.sin(a),
        startY + k * Math.cos(a),
        endX + k * Math.sin(b),
        endY - k * Math.cos(b),
        endX,
        endY,
      ],
      'c',
    );
  });
}

/** Operands, then the operator. @throws RangeError where a coordinate is not finite */
export function operator(operands: readonly number[], name: string): string {
  return [...operands.map(pdfNumber), name].join(' ');
}

export function pdfNumber(value: number): string {
  if (!Number.isFinite(value)) throw new RangeError(`A coordinate of a picture is ${value}.`);
  return String(Number(value.toFixed(3)));
}
