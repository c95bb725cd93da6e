import type { Summary } from '../metrics/index.ts';
import { estimateOf, figureHead, figuresFor, formatFigure, formatInterval } from './figures.ts';

/** One split's figures as lines for a terminal, each with its interval. */
export function renderSummary(summary: Summary): string {
  const rows = figuresFor(summary.classes, summary.truth !== undefined).map((figure) => {
    const estimate = estimateOf({ summary }, figure);
    const interval = formatInterval(figure, estimate);
    const value = formatFigure(figure, estimate.value).padStart(8);
    return `${figureHead(figure).padEnd(30)}${value}${interval === undefined ? '' : `   [${interval}]`}`;
  });
  const level = Math.round(100 * summary.settings.level);
  const by = summary.settings.resampled === 'groups' ? 'patients' : 'samples';
  return `${summary.samples} samples, ${summary.classes} classes; ${level} % bootstrap intervals over ${by}\n${rows.join('\n')}\n`;
}
