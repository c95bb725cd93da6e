import { type Curve, curvePanel } from '../draw/curves.ts';
import { type ForestPanel, forest } from '../draw/forest.ts';
import { lineSwatch, swatch } from '../draw/marker.ts';
import { FEW, greatestShare, reliabilityPanel } from '../draw/reliability.ts';
import { type Child, type Drawing, inline, type Markup, tag } from '../draw/svg.ts';
import {
  alphaOf,
  baselineOf,
  bestOf,
  betterArrow,
  classCells,
  differenceOf,
  estimateOf,
  figureHead,
  formatCount,
  formatFigure,
  formatInterval,
  formatP,
  formatParameters,
  hasTruth,
  levelText,
  methodName,
  plural,
  type ShownFigure,
  shownFigures,
  UNDEFINED,
  verdictOf,
} from '../figures.ts';
import { estimateText, isCalibrationError, scaleOf } from '../figures-study.ts';
import { list, notes, readings } from '../reading.ts';
import type { EpochMetrics, StudyResult } from '../result.ts';
import { legend, markOf } from '../table.ts';
import { page, prose, section, signSpan, table } from './page.ts';

/** One self-contained HTML document: no scripts, no requests, light and dark, good on paper. */
export function renderHtml(result: StudyResult): string {
  const title = `${result.data.name}: ${list(result.methods.map((m) => methodName(result, m)))}`;
  return page(
    title,
    'comparison',
    header(result, title),
    readingSection(result),
    figureSection(result),
    forestSection(result),
    reliabilitySection(result),
    truthSection(result),
    curveSection(result),
    pairSection(result),
    classSection(result),
    howSection(result),
  );
}

function header(result: StudyResult, title: string): Markup {
  const { data, model } = result;
  const facts: [string, string][] = [
    [
      'Judged on',
      `${data.name}, split “${data.split}”: ${plural(data.samples, 'image')} of ${plural(data.classes.length, 'class', 'classes')}`,
    ],
    ['Trained on', plural(data.trainSamples, 'image')],
    [
      'Network',
      `${model.name}, ${formatParameters(model.parameters)} parameters, input ${model.size} × ${model.size} px, ${plural(model.channels, 'channel')}`,
    ],
    ['Settings', result.settings.map(([key, value]) => `${key} ${value}`).join('; ')],
    ['Finished', `${result.finished.replace('T', ' ').replace(/(\.\d+)?Z$/, '')} UTC`],
  ];
  return tag(
    'header',
    {},
    tag('h1', {}, title),
    tag(
      'p',
      { class: 'lead' },
      result.methods.length > 1
        ? 'The same network, data and settings under different labels. Which probabilities can be believed?'
        : 'Can its probabilities be believed?',
    ),
    tag(
      'dl',
      { class: 'small' },
      facts.map(([key, value]) => [tag('dt', {}, key), tag('dd', {}, value)]),
    ),
    tag('pre', {}, tag('code', {}, result.command)),
  );
}

function readingSection(result: StudyResult): Markup {
  const items = readings(result).map((reading) => {
    const m = result.methods.indexOf(reading.method);
    const item = (mark: string, kind: string, text: string) =>
      tag('li', {}, tag('span', { class: kind }, mark), text);
    return tag(
      'div',
      { class: 'reading' },
      tag('h3', {}, swatch(m), methodName(result, reading.method)),
      tag('p', {}, prose([reading.confidence, reading.verdict ?? ''].join(' ').trimEnd())),
      reading.verdict === undefined
        ? undefined
        : tag(
            'ul',
            {},
            reading.better.map((c) => item('✓', 'good', prose(c.text))),
            reading.worse.map((c) => item('✗', 'bad', prose(c.text))),
            reading.undecided.map((c) => item('·', 'none', prose(c.text))),
          ),
    );
  });
  return section('What it shows', undefined, tag('div', { class: 'readings' }, items));
}

function figureSection(result: StudyResult): Markup {
  const head = tag(
    'tr',
    {},
    tag('th', { class: 'left' }, 'Figure'),
    result.methods.map((method) => tag('th', {}, methodName(result, method))),
  );
  const rows = shownFigures(result).map((figure) => {
    const best = bestOf(result, figure);
    return tag(
      'tr',
      {},
      tag(
        'th',
        { scope: 'row' },
        `${figureHead(figure)} ${betterArrow(figure)}`,
        tag('span', { class: 'meaning' }, figure.meaning),
      ),
      result.methods.map((method) => {
        const estimate = estimateOf(method, figure);
        const interval = formatInterval(figure, estimate);
        return tag(
          'td',
          { class: best.has(method) ? 'best' : undefined },
          tag('b', {}, formatFigure(figure, estimate.value)),
          signSpan(markOf(result, figure, method), methodName(result, baselineOf(result)!)),
          interval === undefined ? undefined : tag('span', { class: 'ci' }, `[${interval}]`),
        );
      }),
    );
  });
  return section(
    'Figures',
    `${legend(result).replace('* best', 'shaded: best')}.`,
    table(head, tag('tbody', {}, rows)),
  );
}

function forestSection(result: StudyResult): Markup {
  const all = shownFigures(result);
  const rows = [
    ['top1', 'balancedAccuracy', 'auroc'],
    ['ece', 'nll', 'brier'],
  ].map((names) => names.map((name) => all.find((f) => !f.truth && f.name === name)!));
  if (hasTruth(result))
    rows.push(['ece', 'totalVariation', 'kl'].map((name) => all.find((f) => f.truth && f.name === name)!));
  const reference =
    result.methods.length > 1 ? ` The dashed line is at ${methodName(result, baselineOf(result)!)}.` : '';
  const overlap =
    result.pairs.length > 0
      ? ' Two intervals that overlap can still belong to a significant difference, because the methods are compared on the same images.'
      : '';
  const marks =
    result.pairs.length > 0 ? ' ✓ and ✗: significantly better and worse than it, after correction.' : '';
  return section(
    'Estimates and intervals',
    `Each mark is a figure’s value, the bar its ${levelText(result)} interval.${overlap}${reference}${marks}`,
    rows.map((figures) => tag('figure', {}, inline(forestOf(result, figures)))),
  );
}

/** Every method's value of each figure with its interval. */
function forestOf(result: StudyResult, figures: readonly ShownFigure[]): Drawing {
  const { methods } = result;
  const baseline = methods.length < 2 ? undefined : baselineOf(result);
  const panels = figures.map(
    (figure): ForestPanel => ({
      head: `${figureHead(figure)} ${betterArrow(figure)}`,
      scale: scaleOf(figure),
      digits: figure.digits,
      fromZero: isCalibrationError(figure),
      reference: baseline === undefined ? null : estimateOf(baseline, figure).value,
      marks: methods.map((method) => {
        const estimate = estimateOf(method, figure);
        const tip = `${methodName(result, method)}: ${estimateText(figure, estimate, levelText(result))}`;
        return [{ ...estimate, tip, sign: markOf(result, figure, method) }];
      }),
    }),
  );
  return forest(
    methods.map((method, series) => ({ name: methodName(result, method), series })),
    panels,
    `Estimates with ${levelText(result)} intervals of ${figures.map((f) => f.label).join(', ')} for each method`,
  );
}

function reliabilitySection(result: StudyResult): Markup {
  const bins = result.methods.map((m) => m.summary.bins);
  const share = greatestShare(bins);
  const panels = result.methods.map((method, m) => {
    const name = methodName(result, method);
    const { ece, top1, confidenceGap: gap } = method.summary;
    const figure = shownFigures(result).find((f) => f.name === 'ece' && !f.truth)!;
    const interval = formatInterval(figure, ece);
    const caption = [
      `ECE ${formatFigure(figure, ece.value)} %${interval === undefined ? '' : ` [${interval}]`}`,
      top1.value === null || gap.value === null
        ? ''
        : `confidence ${formatFigure(figure, top1.value + gap.value)} %, accuracy ${formatFigure(figure, top1.value)} %`,
    ];
    return tag(
      'figure',
      {},
      tag('h3', {}, swatch(m), name),
      tag('figcaption', {}, caption[0], tag('br'), caption[1]),
      inline(
        reliabilityPanel(method.summary.bins, {
          title: `Reliability diagram of ${name}: accuracy against confidence`,
          runs: method.summary.runs,
          greatestShare: share,
        }),
      ),
    );
  });
  const runs = result.methods.some((m) => m.summary.runs > 1)
    ? ' All seeds are pooled, and an image counts once for an interval however many seeds judged it.'
    : '';
  return section(
    'Reliability',
    `Predictions are sorted into bins by how sure the network was. A bar is the share that was right, a point stands at the bin’s mean confidence with a 95 % Wilson interval; on the dashed diagonal, 80 % sure is right in 80 %. A filled gap is over-confidence, a hatched one under-confidence. A bin without predictions stays empty, one with fewer than ${FEW} images is faint.${runs}`,
    tag('div', { class: 'panels' }, panels),
    tag(
      'p',
      { class: 'note' },
      'Below each diagram: how many predictions fall into each bin, with the mean confidence (dashed) and the accuracy (solid). They coincide where the network is as often right as it says, on average.',
    ),
  );
}

function truthSection(result: StudyResult): Markup | undefined {
  if (!hasTruth(result)) return undefined;
  const figure = shownFigures(result).find((f) => f.name === 'ece' && f.truth)!;
  const panels = result.methods.map((method, m) => {
    const name = methodName(result, method);
    const { ece } = method.summary.truth!;
    const interval = formatInterval(figure, ece);
    return tag(
      'figure',
      {},
      tag('h3', {}, swatch(m), name),
      tag(
        'figcaption',
        {},
        `ECE to truth ${formatFigure(figure, ece.value)} %${interval === undefined ? '' : ` [${interval}]`}`,
      ),
      inline(
        reliabilityPanel(method.summary.truth!.bins, {
          title: `Confidence of ${name} against the true probability`,
          runs: method.summary.runs,
          outcome: 'true probability',
        }),
      ),
    );
  });
  return section(
    'Against the truth',
    'These images are drawn by a phantom, which knows how probable each grade truly is. A bar is the mean true probability of what the network predicted: no chance of the labels is in it, and the diagonal is exactly what a perfect network would reach.',
    tag('div', { class: 'panels' }, panels),
  );
}

type EpochValue = (e: EpochMetrics) => number | null | undefined;

function curveSection(result: StudyResult): Markup | undefined {
  const { methods } = result;
  const epochs = methods.flatMap((m) => m.runs.flatMap((r) => r.epochs));
  if (epochs.length === 0) return undefined;
  const last = Math.max(...epochs.map((e) => e.epoch));
  const curveOf = (method: number, value: EpochValue): Curve => ({
    method,
    runs: methods[method]!.runs.map((r) => r.epochs.map((e) => [e.epoch, value(e) ?? null])),
  });
  const panel = (title: string, head: Child, which: readonly number[], value: EpochValue) => {
    const curves = which.map((m) => curveOf(m, value));
    return tag('figure', {}, head ?? tag('h3', {}, title), inline(curvePanel(title, curves, last)));
  };
  const every = methods.map((_, m) => m);
  const validated = epochs.some((e) => e.val !== undefined);
  const several = methods.some((m) => m.runs.length > 1);
  const percent = (v: number | null | undefined) => (v === null || v === undefined ? null : 100 * v);
  const validation = [
    panel('Validation NLL (nats)', undefined, every, (e) => e.val?.nll),
    panel('Validation Top-1 (%)', undefined, every, (e) => percent(e.val?.top1)),
    panel('Validation ECE (%)', undefined, every, (e) => percent(e.val?.ece)),
  ];
  const intro = [
    several ? 'Each thin line is one seed, the bold line their mean.' : 'One line for each method.',
    'The training losses of different objectives are different quantities: each has a panel and a scale of its own, and only its course can be read.',
    ...(validated ? ['The validation figures mean the same for all.'] : []),
  ];
  return section(
    'Learning curves',
    intro.join(' '),
    tag(
      'div',
      { class: 'legend' },
      methods.map((method, m) => tag('span', {}, lineSwatch(m), methodName(result, method))),
    ),
    validated ? tag('div', { class: 'panels' }, validation) : undefined,
    tag(
      'div',
      { class: 'panels' },
      every.map((m) => {
        const name = methodName(result, methods[m]!);
        const head = [tag('h3', {}, swatch(m), name), tag('figcaption', {}, 'training loss')];
        return panel(`Training loss of ${name}`, head, [m], (e) => e.trainLoss);
      }),
    ),
  );
}

function pairSection(result: StudyResult): Markup | undefined {
  if (result.pairs.length === 0) return undefined;
  const alpha = alphaOf(result);
  const figures = shownFigures(result);
  const bodies = result.pairs.map((pair) => {
    const [first, second] = [pair.first, pair.second].map((o) =>
      methodName(result, result.methods.find((m) => m.objective === o)!),
    );
    const rows = figures.flatMap((figure) => {
      const difference = differenceOf(result, figure, pair.first, pair.second);
      if (difference === undefined) return [];
      const verdict = verdictOf(figure, difference, alpha);
      const said = {
        better: ['good', `✓ ${first} better`],
        worse: ['good', `✓ ${second} better`],
        differs: ['', 'they differ'],
        undecided: ['soft', 'no significant difference'],
        untested: ['soft', 'not tested'],
      }[verdict] as [string, string];
      const points = figure.unit === '%' ? ' (points)' : figure.unit === '' ? '' : ` (${figure.unit})`;
      return tag(
        'tr',
        {},
        tag('td', { class: 'left' }, `${figure.label}${points}`),
        tag('td', {}, formatFigure(figure, difference.value, true)),
        tag('td', {}, formatInterval(figure, difference, true) ?? UNDEFINED),
        tag('td', {}, difference.p === null ? UNDEFINED : formatP(difference.p, alpha)),
        tag('td', {}, difference.corrected === null ? UNDEFINED : formatP(difference.corrected, alpha)),
        tag('td', { class: 'left' }, tag('span', { class: said[0] === '' ? undefined : said[0] }, said[1])),
      );
    });
    const { mcnemar } = pair.comparison;
    if (mcnemar !== null) {
      rows.push(
        tag(
          'tr',
          {},
          tag(
            'td',
            { class: 'left', colspan: 6 },
            `McNemar’s exact test of Top-1: only ${first} right in ${formatCount(mcnemar.onlyFirst)}, only ${second} in ${formatCount(mcnemar.onlySecond)} images; p ${formatP(mcnemar.p, alpha).replace(/^(?=\d)/, '= ')} (not corrected).`,
          ),
        ),
      );
    }
    return tag(
      'tbody',
      { class: 'pair' },
      tag('tr', {}, tag('th', { colspan: 6 }, `${first} − ${second}`)),
      rows,
    );
  });
  const head = tag(
    'tr',
    {},
    tag('th', { class: 'left' }, 'Difference of'),
    tag('th', {}, 'first − second'),
    tag('th', {}, `${levelText(result)} interval`),
    tag('th', {}, 'p'),
    tag('th', {}, 'p, Holm'),
    tag('th', { class: 'left' }, 'Reading'),
  );
  return section(
    'Pairs of methods',
    `Differences on the same images by the paired bootstrap. Only the corrected p (Holm, ${plural(result.pairs.length, 'pair')}, each figure by itself) decides; an interval here is not corrected.`,
    table(head, bodies),
  );
}

function classSection(result: StudyResult): Markup {
  const { classes, support } = result.data;
  const heads = [
    tag(
      'tr',
      {},
      tag('th', { class: 'left', rowspan: 2 }, 'Class'),
      tag('th', { rowspan: 2 }, 'Images'),
      result.methods.map((method) => tag('th', { class: 'group', colspan: 3 }, methodName(result, method))),
    ),
    tag(
      'tr',
      {},
      result.methods.map(() => [
        tag('th', { class: 'first' }, 'Recall (%)'),
        tag('th', {}, 'AUROC'),
        tag('th', {}, 'ECE (%)'),
      ]),
    ),
  ];
  const rows = classes.map((name, k) =>
    tag(
      'tr',
      {},
      tag('th', { scope: 'row' }, name),
      tag('td', {}, formatCount(support[k]!)),
      result.methods.map((method) =>
        classCells(method, k).map((text, i) => tag('td', { class: i === 0 ? 'first' : undefined }, text)),
      ),
    ),
  );
  const tall = classes.length > 30 ? 'scroll tall' : 'scroll';
  return section(
    'Classes',
    `Recall: the share of a class’s images that was recognised. ECE: the gap between a class’s probability and how often it is that class. ${UNDEFINED}: not defined, because no image of the class (or no other) is there. Figures of classes with few images are uncertain.`,
    table(heads, tag('tbody', {}, rows), tall),
  );
}

function howSection(result: StudyResult): Markup {
  const runs = result.methods.map((method) =>
    tag(
      'tr',
      {},
      tag('th', { scope: 'row' }, methodName(result, method)),
      tag('td', { class: 'left' }, tag('code', {}, method.objective)),
      tag('td', {}, method.runs.map((r) => String(r.seed)).join(', ')),
      tag('td', {}, String(Math.max(0, ...method.runs.map((r) => r.epochs.length)))),
      tag('td', {}, formatCount(method.runs.reduce((sum, r) => sum + r.seconds, 0))),
    ),
  );
  const head = tag(
    'tr',
    {},
    tag('th', { class: 'left' }, 'Method'),
    tag('th', { class: 'left' }, 'Objective'),
    tag('th', {}, 'Seeds'),
    tag('th', {}, 'Epochs'),
    tag('th', {}, 'Training (s)'),
  );
  return section(
    'How the figures were made',
    undefined,
    tag(
      'ul',
      { class: 'small' },
      notes(result).map((line) => tag('li', {}, prose(line))),
    ),
    table(head, tag('tbody', {}, runs)),
    tag(
      'footer',
      {},
      Object.entries(result.software)
        .map(([name, version]) => `${name} ${version}`)
        .join(' · '),
    ),
  );
}
