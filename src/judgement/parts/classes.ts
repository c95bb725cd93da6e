import { describe } from '../../figures/index.ts';
import { capital, plural } from '../format.ts';
import { outputsByMethod } from '../judged.ts';
import { record } from '../measure.ts';
import type { Part } from '../part.ts';
import { type Measured, type ShownFigure, shownAs } from '../shown.ts';
import { type ColumnSpec, plain } from '../tables/table.ts';
import { cellOf, columnOf, methodTable, tableNotes, type View } from '../view.ts';
import { type FigureResults, figuresOf } from './figures.ts';

/** Each class by itself; of findings, how many are known. Their figures stand with the others. */
export interface ClassResults {
  readonly classes: readonly {
    readonly name: string;
    /** Images that have it, and of findings those in which it is known. */
    readonly positives: number;
    readonly known: number;
    /** One of K: recall, AUROC and calibration error of each method, means over runs. */
    readonly methods: readonly Measured[];
  }[];
}

const SHOWN: readonly ShownFigure[] = [
  shownAs('recall', 'Recall', ['%', 1, 'higher'], 'Share of a class’s images that was recognised.'),
  shownAs(
    'auroc',
    'AUROC',
    ['', 3, 'higher'],
    'Chance that an image of the class is ranked above one of another.',
  ),
  shownAs(
    'ece',
    'ECE, published form',
    ['%', 2, 'lower'],
    'Gap between the class’s probability and how often it is that class.',
  ),
];

/** More classes than this are not looked at one by one. */
const MANY = 30;

export const classesPart: Part<ClassResults> = {
  name: 'classes',
  title: 'Classes and findings',
  kinds: ['one-of-k', 'findings'],
  async measure({ judged, options }) {
    const found: (ReturnType<typeof describe> & { readonly id: string })[] = [];
    for await (const { id, outputs } of outputsByMethod(judged)) {
      found.push({ id, ...describe(outputs, options) });
    }
    return {
      classes: judged.names.map((name, k) => {
        const finding = found[0]!.findings?.[k];
        const support = found[0]!.perClass?.[k]?.support ?? 0;
        return {
          name,
          positives: finding?.positives ?? support,
          known: finding?.known ?? found[0]!.samples,
          methods: found.flatMap(({ id, perClass }) => {
            const own = perClass?.[k];
            if (own === undefined) return [];
            const { recall, auroc, ece } = own;
            const value = (v: number | null) => ({ value: v, low: null, high: null });
            return [
              {
                method: id,
                figures: { recall: value(recall), auroc: value(auroc), ece: value(ece) },
                versus: null,
              },
            ];
          }),
        };
      }),
    };
  },
  show(results, view) {
    const findings = view.judgement.kind === 'findings';
    const table = findings ? findingTable(view, results) : classTable(view, results);
    const many = !findings && results.classes.length > MANY;
    return {
      blocks: [{ table, ...(many && { fold: `${plural(results.classes.length, 'class', 'classes')}` }) }],
    };
  },
};

/** A row for each class, the methods' figures side by side. */
function classTable(view: View, { classes }: ClassResults) {
  const columns = view.ids.flatMap((id): ColumnSpec[] =>
    SHOWN.map((figure) =>
      columnOf(figure, { id: `${id}_${figure.name}`, group: view.name(id), better: 'none' }),
    ),
  );
  return wide(
    view,
    'Recall: the share of a class’s images that was recognised. ECE: the gap between a class’s probability and how often it is that class. Without a calibrator, means over runs. Figures of classes with few images are uncertain.',
    [{ id: 'images', label: 'Images', unit: 'count', better: 'none' }, ...columns],
    classes.map(({ name, positives, methods }) => ({
      name,
      cells: [
        plain(positives),
        ...view.ids.flatMap((id) =>
          SHOWN.map((figure) =>
            cellOf(
              methods.find((one) => one.method === id),
              figure.name,
            ),
          ),
        ),
      ],
    })),
  );
}

function wide(
  view: View,
  caption: string,
  columns: readonly ColumnSpec[],
  rows: readonly { readonly name: string; readonly cells: readonly ReturnType<typeof plain>[] }[],
) {
  return {
    ...methodTable(
      view,
      { id: 'classes', title: view.title('each class'), caption },
      columns,
      rows.map(({ name, cells }) => ({ method: name, cells })),
    ),
    stubs: ['Class'],
  };
}

/** Findings as blocks, a row for each method, every figure with its interval and test against the baseline. */
function findingTable(view: View, { classes }: ClassResults) {
  const { methods } = view.judgement.parts.figures as FigureResults;
  const figures = figuresOf(view, { methods }).filter(
    ({ name }) => methods[0]!.figures[name]!.perFinding !== undefined,
  );
  const single = (one: Measured, finding: string): Measured => ({
    method: one.method,
    figures: record(
      figures.map(({ name }) => name),
      (name) => one.figures[name]!.perFinding![finding]!,
    ),
    versus:
      one.versus &&
      record(
        figures.map(({ name }) => name),
        (name) => one.versus![name]!.perFinding![finding]!,
      ),
  });
  return methodTable(
    view,
    {
      id: 'findings',
      title: view.title('each finding'),
      caption: `Each finding among the images in which it is known. p-values are Holm-corrected over findings and methods together. Findings with few positive images are uncertain, as their intervals say.`,
      stubs: ['Finding'],
      notes: tableNotes(view),
    },
    [
      { id: 'positives', label: 'Positive', unit: 'count', better: 'none' },
      { id: 'known', label: 'Known', unit: 'count', better: 'none' },
      ...figures.map((figure) => columnOf(figure)),
    ],
    classes.flatMap(({ name, positives, known }) =>
      methods.map((one) => ({
        method: one.method,
        stubs: [capital(name)],
        cells: [
          plain(positives),
          plain(known),
          ...figures.map((figure) => cellOf(single(one, name), figure.name)),
        ],
      })),
    ),
  );
}
