import type { Estimate, Summary } from '../metrics/index.ts';

type Unit = 'percent' | 'plain';

/** One split's figures as lines for a terminal, each with its interval. */
export function renderSummary(summary: Summary): string {
  const rows: [string, Estimate, Unit][] = [
    ['Top-1', summary.top1, 'percent'],
    ...(summary.classes > 5 ? [['Top-5', summary.top5, 'percent'] as [string, Estimate, Unit]] : []),
    ['Balanced accuracy', summary.balancedAccuracy, 'percent'],
    ['AUROC (macro)', summary.auroc, 'percent'],
    ['NLL (nats)', summary.nll, 'plain'],
    ['Brier', summary.brier, 'plain'],
    [`ECE, ${summary.settings.bins} bins`, summary.ece, 'percent'],
    ['ECE, equal mass', summary.eceEqualMass, 'percent'],
    ['MCE', summary.mce, 'percent'],
    ['Class-wise ECE', summary.classwiseEce, 'percent'],
    ['Confidence − accuracy', summary.confidenceGap, 'percent'],
  ];
  if (summary.truth !== undefined) {
    rows.push(['ECE against the truth', summary.truth.ece, 'percent']);
    rows.push(['KL from the truth (nats)', summary.truth.kl, 'plain']);
  }
  const level = Math.round(100 * summary.settings.level);
  const lines = rows.map(([name, estimate, unit]) => {
    const show = (value: number | null) => (value === null ? '–' : unit === 'percent' ? (100 * value).toFixed(2) : value.toFixed(4));
    const interval = estimate.low === null ? '' : `${show(estimate.low)} to ${show(estimate.high)}`;
    return `${name.padEnd(26)}${`${show(estimate.value)}${unit === 'percent' ? ' %' : '  '}`.padStart(10)}   ${interval}`;
  });
  return `${summary.samples} samples, ${summary.classes} classes; ${level} % bootstrap intervals\n${lines.join('\n')}\n`;
}
