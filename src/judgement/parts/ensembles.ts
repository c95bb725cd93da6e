import { ensembleProbabilities } from '../../calibration/index.ts';
import { type Differences, measureMethods, type Outputs } from '../../figures/index.ts';
import { plural } from '../format.ts';
import { adjusted } from '../measure.ts';
import type { Part } from '../part.ts';
import type { Measured } from '../shown.ts';
import { tableOf } from '../tables/table.ts';
import { type Answer, cellOf, columnOf, type Remark, said, seedNotes, type View } from '../view.ts';
import { type FigureResults, figuresOf, judgedOutputs, leadList, leadsOf } from './figures.ts';

/** The deep ensemble of each method's networks; `versus` is against the mean of the networks one by one. */
export type EnsembleResults = readonly (Measured & { readonly networks: number })[];

/**
 * Deep ensembles (Lakshminarayanan, Pritzel and Blundell, NeurIPS 2017) of the seeds that were trained anyway: the mean
 * of the probabilities of a method's networks, judged as one classifier.
 */
export const ensemblesPart: Part<EnsembleResults> = {
  name: 'ensembles',
  title: 'Ensembles',
  kinds: ['one-of-k', 'findings'],
  async measure({ judged, options, tell }) {
    const methods = judged.methods.filter(({ runs }) => runs.length > 1);
    if (methods.length === 0) return { absent: 'no method has several networks', quiet: true };
    const found: Omit<EnsembleResults[number], 'versus'>[] = [];
    const differences: Differences[] = [];
    for (const { id, runs } of methods) {
      tell(`ensemble of ${id}`);
      const single: Outputs[] = [];
      for (const run of runs) single.push(await judgedOutputs(run));
      const both = new Map([
        ['single', single],
        ['ensemble', [ensembleOf(single)]],
      ]);
      const { methods: figures, pairs } = measureMethods(both, {
        ...options,
        perFinding: false,
        baseline: 'single',
      });
      found.push({ method: id, networks: runs.length, figures: figures.get('ensemble')! });
      differences.push(pairs[0]!.figures);
    }
    return adjusted(differences).map((versus, i) => ({ ...found[i]!, versus }));
  },
  show(results, view) {
    return { blocks: [{ table: ensembleTable(view, results) }], answers: answer(view, results) };
  },
};

/** The mean of the probabilities of several networks. It has no logits: a softmax of their means is another classifier. */
export function ensembleOf(outputs: readonly Outputs[]): Outputs {
  const { logits: _, thresholds: __, doubt: ___, ...known } = outputs[0]!;
  const doubts = outputs.flatMap(({ doubt }) => doubt ?? []);
  return {
    ...known,
    ...(doubts.length === outputs.length && { doubt: ensembleProbabilities(doubts) }),
    probabilities: ensembleProbabilities(outputs.map(({ probabilities }) => probabilities)),
  };
}

function ensembleTable(view: View, results: EnsembleResults) {
  const plain = view.judgement.parts.figures as FigureResults;
  const figures = [...figuresOf(view, { methods: results }), ...figuresOf(view, { methods: results }, true)];
  const rows = results.flatMap((ensemble) => {
    const single = plain.methods.find(({ method }) => method === ensemble.method)!;
    return [
      {
        name: `mean of ${ensemble.networks}`,
        measured: { ...single, versus: null },
        block: true,
      },
      { name: `ensemble of ${ensemble.networks}`, measured: ensemble, block: false },
    ].map(({ name, measured, block }) => ({
      stubs: [view.name(ensemble.method), name],
      series: view.series(ensemble.method),
      block,
      cells: figures.map((figure) => cellOf(measured, figure.name)),
    }));
  });
  return tableOf(
    {
      id: 'ensembles',
      title: view.title('Ensembles of the seeds'),
      caption: `The mean of the probabilities of a method’s networks, as one classifier that costs as many forward passes, below the mean of what they reach one by one. ✓ better, ✗ worse than its networks one by one (p < ${view.alpha}, Holm-corrected over ${plural(results.length, 'method')}).`,
      stubs: ['Method', 'Networks'],
      notes: seedNotes(Math.min(...results.map(({ networks }) => networks))),
    },
    figures.map((figure) => columnOf(figure)),
    rows,
    view.alpha,
  );
}

function answer(view: View, results: EnsembleResults): Answer[] {
  const figures = leadList(leadsOf(figuresOf(view, { methods: results })));
  const remarks = figures.map((figure): Remark => {
    const count = (sign: string) =>
      results.filter(({ versus }) => view.sign(figure, versus?.[figure.name]) === sign).length;
    const [better, worse] = [count('✓'), count('✗')];
    const of = `of ${plural(results.length, 'method')}`;
    if (better + worse === 0)
      return said(`${figure.label}: no ensemble differs significantly from its networks one by one.`);
    return {
      kind: worse > 0 ? 'bad' : 'good',
      text: `${figure.label}: the ensemble is significantly better than its networks one by one for ${better}${worse > 0 ? `, worse for ${worse}` : ''} ${of}.`,
    };
  });
  return [{ question: 'What would an ensemble of the seeds bring?', remarks }];
}
