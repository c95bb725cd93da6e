import {
  baselineOf,
  betterArrow,
  estimateOf,
  figureHead,
  formatFigure,
  formatInterval,
  formatNumber,
  levelText,
  methodName,
  type ShownFigure,
} from '../figures.ts';
import type { StudyResult } from '../result.ts';
import { markOf } from '../table.ts';
import { extent, linear, type Markup, picture, tag, ticks } from './svg.ts';

const WIDTH = 920;
const LABELS = 190;
const GAP = 34;
const TOP = 30;
const ROW = 26;

/** A row of panels, one for each figure: every method's value with its interval, and a line at the baseline's value. */
export function forest(result: StudyResult, figures: readonly ShownFigure[]): Markup {
  const { methods } = result;
  const bottom = TOP + methods.length * ROW + 4;
  const width = (WIDTH - LABELS - 3 * GAP) / 3;
  const baseline = baselineOf(result);
  const rowOf = (m: number) => TOP + (m + 0.5) * ROW;
  const names = methods.map((method, m) => {
    const name = methodName(result, method);
    return tag(
      'text',
      { class: 'name', x: LABELS - 16, y: rowOf(m) + 4, 'text-anchor': 'end' },
      tag('title', {}, name),
      shorten(name, 28),
    );
  });
  const panels = figures.map((figure, i) => {
    const left = LABELS + i * (width + GAP);
    const right = left + width;
    const estimates = methods.map((method) => estimateOf(method, figure));
    const scale = figure.unit === '%' ? 100 : 1;
    const domain = extent(
      estimates.flatMap((e) => [e.value, e.low, e.high].filter((v) => v !== null).map((v) => v * scale)),
      0.08,
      6 * 10 ** -figure.digits,
    );
    const x = linear(domain, [left, right]);
    const steps = ticks(domain[0], domain[1], 4);
    const reference = baseline === undefined ? null : estimateOf(baseline, figure).value;
    return [
      tag('text', { class: 'head', x: left, y: 14 }, `${figureHead(figure)} ${betterArrow(figure)}`),
      steps.values.map((v) => [
        tag('line', { class: 'grid', x1: x(v), x2: x(v), y1: TOP, y2: bottom }),
        tag(
          'text',
          { class: 'tick', x: x(v), y: bottom + 14, 'text-anchor': 'middle' },
          formatNumber(v, steps.digits),
        ),
      ]),
      tag('line', { class: 'frame', x1: left, x2: right, y1: bottom, y2: bottom }),
      reference === null || methods.length < 2
        ? undefined
        : tag('line', {
            class: 'reference',
            x1: x(reference * scale),
            x2: x(reference * scale),
            y1: TOP,
            y2: bottom,
          }),
      methods.map((method, m) => {
        const { value, low, high } = estimates[m]!;
        const y = rowOf(m);
        if (value === null) {
          return tag(
            'text',
            { class: 'tick', x: (left + right) / 2, y: y + 4, 'text-anchor': 'middle' },
            'not defined',
          );
        }
        const interval = formatInterval(figure, estimates[m]!);
        const mark = markOf(result, figure, method);
        return tag(
          'g',
          { class: `method m${m % 7}` },
          tag(
            'title',
            {},
            `${methodName(result, method)}: ${figureHead(figure)} ${formatFigure(figure, value)}${interval === undefined ? '' : ` (${levelText(result)} ${interval})`}`,
          ),
          low === null || high === null
            ? undefined
            : tag('line', { class: 'interval', x1: x(low * scale), x2: x(high * scale), y1: y, y2: y }),
          marker(m, x(value * scale), y),
          mark === ''
            ? undefined
            : tag('text', { class: mark === '✓' ? 'mark good' : 'mark bad', x: right + 6, y: y + 4 }, mark),
        );
      }),
    ];
  });
  const label = `Estimates with ${levelText(result)} intervals of ${figures.map((f) => f.label).join(', ')} for each method`;
  return picture(WIDTH, bottom + 22, label, names, panels);
}

/** A method's mark: its shape tells it apart where its colour does not. */
export function marker(method: number, x: number, y: number): Markup {
  const r = 4.6;
  switch (method % 4) {
    case 0:
      return tag('circle', { class: 'dot', cx: x, cy: y, r });
    case 1:
      return tag('rect', {
        class: 'dot',
        x: x - r + 0.5,
        y: y - r + 0.5,
        width: 2 * r - 1,
        height: 2 * r - 1,
      });
    case 2:
      return polygon([x, y - r - 1, x + r + 1, y, x, y + r + 1, x - r - 1, y]);
    default:
      return polygon([x, y - r - 0.5, x + r + 0.5, y + r - 0.5, x - r - 0.5, y + r - 0.5]);
  }
}

function polygon(points: readonly number[]): Markup {
  return tag('polygon', { class: 'dot', points: points.map((v) => v.toFixed(2)).join(' ') });
}

/** At most `most` characters, the last an ellipsis where some are missing. */
export function shorten(text: string, most: number): string {
  const letters = [...text];
  return letters.length <= most
    ? text
    : `${letters
        .slice(0, most - 1)
        .join('')
        .trimEnd()}…`;
}
