import { plural } from '../format.ts';
import { figureSvg } from './figure.ts';
import { groupMark, groupsOf, scatterPanel } from './scatter.ts';

/** One picture of the samples. */
export interface ScatterPlotPanel {
  readonly head: string;
  /** M×2 places. */
  readonly points: ArrayLike<number>;
  /** Small lines under the head: its numbers. */
  readonly lines?: readonly string[];
}

export interface ScatterPlotOptions {
  readonly title: string;
  /** Words of each class by attribute (modality, anatomy): colours of more than 12 classes go by one of them. */
  readonly strata?: Readonly<Record<string, readonly string[]>>;
}

/**
 * The same samples in one picture or in several side by side, as an SVG file that stands alone: a colour and a shape for
 * each class, or, for more than 12 classes, for a coarser group of them.
 * @param labels the class of each of the M samples
 * @param classes K class names
 */
export function scatterPlot(
  panels: readonly ScatterPlotPanel[],
  labels: ArrayLike<number>,
  classes: readonly string[],
  { title, strata = {} }: ScatterPlotOptions,
): string {
  const { names, groups, by } = groupsOf(Array.from(labels), classes, strata);
  const width = panels.length === 1 ? 420 : panels.length === 2 ? 400 : 280;
  return figureSvg({
    file: 'scatter',
    title,
    note: `${plural(labels.length, 'image')} by ${by}. Axes, distances between clusters and their sizes have no unit.`,
    columns: 3,
    legend: names.map((text, group) => ({ mark: groupMark(group), text })),
    panels: panels.map(({ head, points, lines }) => ({
      head,
      ...(lines && { lines }),
      drawing: scatterPanel(head, Array.from(points), groups, width),
    })),
  });
}
