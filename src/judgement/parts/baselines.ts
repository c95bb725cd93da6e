import { figuresOf as figuresOfKind, measureMethods, type Outputs } from '../../figures/index.ts';
import { mean } from '../../metrics/index.ts';
import { list } from '../format.ts';
import { outputsByMethod } from '../judged.ts';
import { record } from '../measure.ts';
import type { Context, Part } from '../part.ts';
import { type Measured, type ShownFigure, valueText } from '../shown.ts';
import { plain } from '../tables/table.ts';
import { cellOf, columnOf, methodTable, type View } from '../view.ts';
import { type FigureResults, figuresOf } from './figures.ts';

/** What who knows nothing of the images would reach, and whether each method is better than that. */
export interface BaselineResults {
  /** K: how frequent each class or finding is, each counted once more than it was seen. */
  readonly frequencies: readonly number[];
  /** Where they were counted: never on the judged samples where there are others. */
  readonly from: 'validation' | 'judged';
  /** One of K: the class that is answered always. */
  readonly majority: string | null;
  /** Findings: how often one is there, mean over findings. */
  readonly present: number | null;
  /** Of who answers every image with the frequencies, and of who answers at random, all classes alike. */
  readonly rows: readonly {
    readonly name: 'frequencies' | 'chance';
    readonly figures: Measured['figures'];
  }[];
  /** Every method's difference from who answers with the frequencies; Holm-corrected over the methods. */
  readonly methods: readonly Measured[];
}

/** A network that knows something is right more often than the frequencies, or ranks better than by chance. */
const SKILL: Readonly<Record<string, readonly string[]>> = {
  'one-of-k': ['top1', 'auroc'],
  findings: ['auroc', 'auprc'],
};
const MEASURED: Readonly<Record<string, readonly string[]>> = {
  'one-of-k': ['top1', 'balancedAccuracy', 'auroc', 'nll', 'brier', 'confidenceGap'],
  findings: ['auroc', 'auprc', 'nll', 'brier', 'confidenceGap'],
};

/** No method can be called so: its name is not one that a method's id may be. */
const FREQUENCIES = ' frequencies';

export const baselinesPart: Part<BaselineResults> = {
  name: 'baselines',
  title: 'Chance and class frequencies',
  kinds: ['one-of-k', 'findings'],
  async measure(context) {
    const { judged, options } = context;
    context.tell('chance and class frequencies');
    const first = judged.methods[0]!.runs[0]!;
    const counted = await (first.validation ?? first.judged)();
    const frequencies = frequenciesOf(counted);
    const held = new Map<string, readonly Outputs[]>();
    for await (const { id, outputs } of outputsByMethod(judged)) held.set(id, outputs);
    const { targets } = held.values().next().value![0]!;
    const known: Outputs = { targets, probabilities: repeated(frequencies, targets) };
    held.set(FREQUENCIES, [known]);
    const joint = measureMethods(held, {
      ...options,
      figures: MEASURED[judged.kind]!,
      perFinding: false,
      baseline: FREQUENCIES,
      pairs: 'baseline',
    });
    const most = frequencies.indexOf(Math.max(...frequencies));
    return {
      frequencies,
      from: first.validation === undefined ? 'judged' : 'validation',
      majority: judged.kind === 'one-of-k' ? judged.names[most]! : null,
      present: presentOf(targets),
      rows: [
        { name: 'frequencies', figures: withError(joint.methods.get(FREQUENCIES)!, targets) },
        { name: 'chance', figures: withError(chanceOf(context, targets), targets) },
      ],
      methods: judged.methods.map(({ id }) => ({
        method: id,
        figures: joint.methods.get(id)!,
        versus: joint.pairs.find(({ first: one }) => one === id)!.figures,
      })),
    };
  },
  show(results, view) {
    return { blocks: [{ table: baselineTable(view, results) }] };
  },
};

/** Whether a method knows more than how frequent classes are; null where nothing was tested. */
export function hasLearned(results: BaselineResults, method: string, view: View): boolean | null {
  const versus = results.methods.find((one) => one.method === method)?.versus;
  const tests = SKILL[view.judgement.kind]!.flatMap((name) => versus?.[name] ?? []);
  const told = tests.filter(({ adjusted, value }) => adjusted !== null && value !== null);
  if (told.length === 0) return null;
  return told.some(({ adjusted, value }) => adjusted! < view.alpha && value! > 0);
}

/** Whether a method is right significantly more often than who always names the majority; null where it is not asked. */
export function beatsMajority(results: BaselineResults, method: string, view: View): boolean | null {
  const test = results.methods.find((one) => one.method === method)?.versus?.top1;
  if (test === undefined || test.adjusted === null || test.value === null) return null;
  return test.adjusted < view.alpha && test.value > 0;
}

export function baselineName(name: 'frequencies' | 'chance', { majority }: BaselineResults): string {
  if (name === 'chance') return 'At random';
  return majority === null ? 'How frequent each finding is' : `Always “${majority}”`;
}

/** Each counted once more than it was seen (Laplace): who never saw a class does not call it impossible. */
function frequenciesOf({ targets }: Outputs): number[] {
  const k = targets.names.length;
  const seen = new Float64Array(k);
  if (targets.kind === 'one-of-k') {
    for (const label of targets.values) seen[label]!++;
    return Array.from(seen, (n) => (n + 1) / (targets.values.length + k));
  }
  const known = new Float64Array(k);
  for (let at = 0; at < targets.values.length; at++) {
    if (targets.mask?.[at] === 0) continue;
    known[at % k]!++;
    seen[at % k]! += targets.values[at]!;
  }
  return Array.from(seen, (n, i) => (n + 1) / (known[i]! + 2));
}

function repeated(row: readonly number[], targets: Outputs['targets']): Float64Array {
  const samples = targets.kind === 'one-of-k' ? targets.values.length : targets.values.length / row.length;
  const all = new Float64Array(samples * row.length);
  for (let i = 0; i < samples; i++) all.set(row, i * row.length);
  return all;
}

/** Who says one number of all images has one bin: the calibration error is the gap itself. Of findings each has its own. */
function withError(figures: Measured['figures'], targets: Outputs['targets']): Measured['figures'] {
  const gap = figures.confidenceGap?.value ?? null;
  if (targets.kind === 'findings' || gap === null) return figures;
  return { ...figures, eceDebiased: { value: Math.abs(gap), low: null, high: null } };
}

function presentOf(targets: Outputs['targets']): number | null {
  if (targets.kind === 'one-of-k') return null;
  const shares = sharesOf(targets);
  return shares.length === 0 ? null : mean(shares);
}

/** How often each finding is there among those that are known; findings that never are known are left out. */
function sharesOf(targets: Outputs['targets'] & { readonly kind: 'findings' }): number[] {
  const k = targets.names.length;
  return targets.names.flatMap((_, finding) => {
    let [sum, known] = [0, 0];
    for (let at = finding; at < targets.values.length; at += k) {
      if (targets.mask?.[at] === 0) continue;
      known++;
      sum += targets.values[at]!;
    }
    return known === 0 ? [] : [sum / known];
  });
}

/** Closed forms of who answers 1/K, or 1/2 of every finding. */
function chanceOf({ judged }: Context, targets: Outputs['targets']): Measured['figures'] {
  const alone = (value: number) => ({ value, low: null, high: null });
  const k = judged.names.length;
  if (targets.kind === 'one-of-k')
    return record(MEASURED['one-of-k']!, (name) =>
      alone(
        {
          top1: 1 / k,
          balancedAccuracy: 1 / k,
          auroc: 0.5,
          nll: Math.log(k),
          brier: 1 - 1 / k,
          confidenceGap: 0,
        }[name]!,
      ),
    );
  const shares = sharesOf(targets);
  const over = (value: (share: number) => number) => (shares.length === 0 ? 0 : mean(shares.map(value)));
  return record(MEASURED.findings!, (name) =>
    alone(
      {
        auroc: 0.5,
        auprc: over((share) => share),
        nll: Math.log(2),
        brier: 0.25,
        confidenceGap: over((share) => 0.5 - share),
      }[name]!,
    ),
  );
}

function baselineTable(view: View, results: BaselineResults) {
  const { kind, names } = view.judgement;
  const all = figuresOfKind(kind);
  const figures: ShownFigure[] = all.filter(({ name }) => MEASURED[kind]!.includes(name));
  const skill = figures.filter(({ name }) => SKILL[kind]!.includes(name));
  const own = figuresOf(view, view.judgement.parts.figures as FigureResults);
  const shown = figures.filter(({ name }) => own.some((one) => one.name === name));
  const where = results.from === 'validation' ? 'the validation split' : 'the judged images themselves';
  const [frequent, chance] = results.rows;
  return methodTable(
    view,
    {
      id: 'baselines',
      title: view.title('against chance and class frequencies'),
      against: 'the class frequencies',
      caption: `Who looks at no image can answer how frequent each ${kind === 'findings' ? 'finding' : 'class'} is (counted on ${where}), or at random. A network has learned something where its ${list(
        skill.map(({ label }) => label),
        'or',
      )} is significantly higher than by the frequencies (Holm-corrected over the methods).`,
    },
    shown.map((figure) => columnOf(figure)),
    [
      ...view.ids.map((id) => ({
        method: id,
        cells: shown.map(({ name }) =>
          cellOf(
            results.methods.find(({ method }) => method === id),
            name,
          ),
        ),
      })),
      ...[frequent!, chance!].map(({ name, figures: values }) => ({
        method: `${baselineName(name, results)}${name === 'chance' ? `, ${valueText(PERCENT, 1 / (kind === 'findings' ? 2 : names.length))} each` : ''}`,
        cells: shown.map((figure) => plain(values[figure.name]?.value ?? null)),
      })),
    ],
  );
}

const PERCENT: ShownFigure = {
  name: 'share',
  label: 'Share',
  unit: '%',
  digits: 0,
  better: 'zero',
  meaning: '',
};
