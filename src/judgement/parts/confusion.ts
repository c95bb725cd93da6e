import { predictionsOf } from '../../figures/index.ts';
import { confusionMatrix } from '../../metrics/index.ts';
import { confusionPanel } from '../draw/confusion.ts';
import { plural } from '../format.ts';
import { outputsByMethod } from '../judged.ts';
import { MOST_CLASSES, rounded } from '../one-by-one.ts';
import type { Part } from '../part.ts';
import { plain, tableOf } from '../tables/table.ts';
import type { View } from '../view.ts';

/** What each method answers for images of each class. */
export interface ConfusionResults {
  readonly methods: readonly {
    readonly method: string;
    /** K×K: images of the row's class that were called the column's, mean over runs. */
    readonly counts: readonly (readonly number[])[];
  }[];
}

export const confusionPart: Part<ConfusionResults> = {
  name: 'confusion',
  title: 'Confusion matrices',
  kinds: ['one-of-k'],
  async measure({ judged }) {
    const k = judged.names.length;
    if (k > MOST_CLASSES) return { absent: `there are ${k} classes, too many for a picture` };
    const methods = [];
    for await (const { id, outputs } of outputsByMethod(judged)) {
      const matrices = outputs.map((one) => confusionMatrix(predictionsOf(one)));
      methods.push({
        method: id,
        counts: Array.from({ length: k }, (_, row) =>
          Array.from({ length: k }, (_, column) =>
            rounded(matrices.reduce((sum, matrix) => sum + matrix[row * k + column]!, 0) / matrices.length),
          ),
        ),
      });
    }
    return { methods };
  },
  show(results, view) {
    const size = view.size(results.methods.length);
    return {
      blocks: [
        {
          figure: {
            file: 'confusion',
            title: view.title('What images of each class are called'),
            note: 'A row is a true class, a column what the network said; numbers are percent of the row, and the diagonal is right. Darker is more. Means over runs, without a calibrator.',
            columns: size.columns,
            panels: results.methods.map(({ method, counts }) => ({
              head: view.name(method),
              series: view.series(method),
              drawing: confusionPanel(
                counts,
                view.judgement.names,
                `Confusion matrix of ${view.name(method)}`,
                size.width,
              ),
            })),
          },
        },
        ...results.methods.map(({ method, counts }) => ({
          table: countTable(view, method, counts),
          fold: `Counts, ${view.name(method)}`,
          only: 'page' as const,
        })),
      ],
    };
  },
};

function countTable(view: View, method: string, counts: readonly (readonly number[])[]) {
  const { names } = view.judgement;
  const whole = counts.flat().every((count) => Number.isInteger(count));
  return tableOf(
    {
      id: `confusion-${method}`,
      title: view.title(`confusion matrix of ${view.name(method)}`),
      caption: `Images by true class (rows) and answer (columns)${whole ? '' : `, mean over ${plural(view.runs(method), 'run')}`}.`,
      stubs: ['True class'],
      notes: [],
    },
    names.map((name, k) => ({
      id: `said_${k}`,
      label: name,
      unit: whole ? ('count' as const) : ('' as const),
      better: 'none' as const,
      least: 1,
    })),
    names.map((name, row) => ({ stubs: [name], block: row === 0, cells: counts[row]!.map(plain) })),
    view.alpha,
  );
}
