import { takeTargets } from '../../data/index.ts';
import type { Outputs } from '../../figures/index.ts';
import { capital } from '../format.ts';
import { pickRows } from '../judged.ts';
import type { Context, Part } from '../part.ts';
import type { Measured } from '../shown.ts';
import { plain } from '../tables/table.ts';
import { cellOf, columnOf, methodTable, tableNotes, type View } from '../view.ts';
import { figuresOf, measureFigures } from './figures.ts';

/** The images whose class has one value of an attribute: all CT images, all of the knee. */
export interface StratumResult {
  /** `modality`. */
  readonly attribute: string;
  /** `CT`. */
  readonly value: string;
  readonly classes: number;
  /** Judged images of it. */
  readonly samples: number;
  readonly methods: readonly Measured[];
}

/** The registered figures of each stratum that has a judged image, before calibration. */
export const strataPart: Part<readonly StratumResult[]> = {
  name: 'strata',
  title: 'Strata',
  kinds: ['one-of-k'],
  async measure(context) {
    const strata = Object.entries(context.judged.strata ?? {});
    if (strata.length === 0) return { absent: 'the classes have no strata', quiet: true };
    context.tell('strata');
    const { targets } = await context.judged.methods[0]!.runs[0]!.judged();
    const labels = targets.values;
    const results: StratumResult[] = [];
    for (const [attribute, values] of strata)
      for (const value of new Set(values)) {
        const rows = Int32Array.from(labels.keys()).filter((i) => values[labels[i]!] === value);
        if (rows.length === 0) continue;
        const classes = values.filter((one) => one === value).length;
        results.push({
          attribute,
          value,
          classes,
          samples: rows.length,
          methods: await figuresAt(context, rows),
        });
      }
    return results;
  },
  show(results, view) {
    const attributes = [...new Set(results.map(({ attribute }) => attribute))];
    return { blocks: attributes.map((attribute) => ({ table: stratumTable(view, results, attribute) })) };
  },
};

async function figuresAt(context: Context, rows: Int32Array): Promise<readonly Measured[]> {
  const { groups, ...rest } = context.options;
  const own = groups && Int32Array.from(rows, (i) => groups[i]!);
  const some = { ...context, options: { ...rest, ...(own && { groups: own }) } };
  return (await measureFigures(some, async (run) => rowsOf(await run.judged(), rows))).methods;
}

/** Some rows of outputs, still over all classes. */
export function rowsOf(outputs: Outputs, rows: Int32Array): Outputs {
  const k = outputs.targets.names.length;
  const { logits, indices, targets, probabilities } = outputs;
  return {
    targets: takeTargets(targets, rows),
    probabilities: pickRows(probabilities, rows, k),
    ...(logits && { logits: pickRows(logits, rows, k) }),
    ...(indices && { indices: pickRows(indices, rows, 1) }),
  };
}

function stratumTable(view: View, results: readonly StratumResult[], attribute: string) {
  const strata = results.filter((one) => one.attribute === attribute);
  const figures = figuresOf(view, strata[0]!);
  return methodTable(
    view,
    {
      id: attribute,
      title: view.title(`by ${attribute}`),
      caption: `Images whose class belongs to each ${attribute}, without a calibrator; balanced figures are over its classes.`,
      stubs: [capital(attribute)],
      notes: tableNotes(view),
    },
    [
      { id: 'images', label: 'Images', unit: 'count', better: 'none' },
      ...figures.map((figure) => columnOf(figure)),
    ],
    strata.flatMap(({ value, samples, methods }) =>
      methods.map((one) => ({
        method: one.method,
        stubs: [value],
        cells: [plain(samples), ...figures.map(({ name }) => cellOf(one, name))],
      })),
    ),
  );
}
