import { formatCount, list, plural } from '../format.ts';
import { valueText } from '../shown.ts';
import type { Facts, MethodFacts } from './facts.ts';

/** What a report says first. */
export interface Verdict {
  /** The rule that it follows from. */
  readonly kind: string;
  /** What was found and what to believe, in one or two sentences that can be repeated. */
  readonly sentence: string;
  /** The tests and numbers that it rests on. */
  readonly because: string;
  /** What to do. */
  readonly advice: string;
  /** The same in a few words, for a list of several data sets: `believe hard labels with a temperature`. */
  readonly short: string;
  /** The method that is to be believed, by its id. */
  readonly method?: string;
}

/** A rule: where it holds it gives the verdict, else undefined. It sees facts alone. */
export interface Rule {
  readonly kind: string;
  /** When it holds, for who reads how verdicts are made. */
  readonly when: string;
  readonly decide: (facts: Facts) => Omit<Verdict, 'kind'> | undefined;
}

/** An error whose interval ends below this may be called small: within five points, 80 % sure is right in 75 to 85 %. */
export const SMALL = 0.05;

/** The rules in order: the first that holds decides. */
const rules: Rule[] = [
  {
    kind: 'untested',
    when: 'no intervals were asked for, so that nothing is known to differ',
    decide: (facts) =>
      facts.tested
        ? undefined
        : {
            sentence: 'Nothing can be said yet: no intervals were asked for, so nothing was tested.',
            because: 'Without intervals and tests a difference may be chance.',
            advice: 'Judge again without --replicates 0.',
            short: 'nothing was tested',
          },
  },
  {
    kind: 'nothing-learned',
    when: 'no network is significantly better than who answers with how frequent classes are',
    decide(facts) {
      const { methods, ignorant, classes, accuracies } = facts;
      if (!methods.every(({ learned }) => learned === false)) return undefined;
      const alone = methods.length === 1;
      const rights = methods.flatMap(({ right }) => right ?? []);
      const who = alone ? `${methods[0]!.name} learned nothing` : 'None of these networks learned anything';
      const how =
        facts.kind === 'one-of-k'
          ? `right in ${range(rights)} of ${classes} classes, where ${ignorant?.name.startsWith('Always') ? `answering ${lower(ignorant.name)}` : 'guessing'} is right in ${percent(ignorant?.right ?? 1 / classes)}`
          : `they rank images no better than chance (AUROC ${rangeOf(
              methods.map(({ values }) => values.auroc ?? null),
              2,
            )})`;
      return {
        sentence: `${who}: ${how}.`,
        because: `${labels(
          facts,
          accuracies.filter((name) => ['top1', 'auroc', 'auprc'].includes(name)),
          'or',
        )}: not significantly above what class frequencies alone give${alone ? '' : `, corrected over ${plural(methods.length, 'method')}`}.`,
        advice:
          'Do not use these probabilities. Look whether labels belong to the images, then train longer or with another learning rate; no comparison of methods below means anything before that.',
        short: alone ? 'it learned nothing' : 'none of the networks learned anything',
      };
    },
  },
  {
    kind: 'alone-off',
    when: 'one method, and its calibration error is above 0 beyond chance',
    decide(facts) {
      const [one] = facts.methods;
      if (facts.methods.length > 1 || !isOff(one!)) return undefined;
      const better = repaired(facts, one!);
      return {
        sentence: `Do not take ${one!.name} at its word: ${sureText(facts, one!)}, and its probabilities are off by ${percent(one!.error.value, 1)} on average.`,
        because: `${facts.level} interval of the true calibration error: ${interval(one!)}.`,
        advice: better
          ? `Use it with ${better}.`
          : 'Fit a temperature on validation images (--fit), or train on soft labels.',
        short: isText(facts, one!, one!.name),
        ...(better && { method: one!.id }),
      };
    },
  },
  {
    kind: 'alone-good',
    when: `one method, and its calibration error is below ${100 * SMALL} points`,
    decide(facts) {
      const [one] = facts.methods;
      if (facts.methods.length > 1 || !isSmall(one!)) return undefined;
      return {
        sentence: `${one!.name} can be believed: ${sureText(facts, one!)}, and its true calibration error is at most ${percent(one!.error.high, 1)}.`,
        because: `No miscalibration could be shown on ${plural(facts.samples, 'image')} (${facts.level} interval ${interval(one!)}).`,
        advice: 'Use its probabilities as they are, on images like these.',
        short: `${one!.name} can be believed`,
        method: one!.id,
      };
    },
  },
  {
    kind: 'alone-unsure',
    when: 'one method, and its calibration error may be 0 or large',
    decide(facts) {
      const [one] = facts.methods;
      if (facts.methods.length > 1) return undefined;
      return {
        sentence: `${plural(facts.samples, 'image')} cannot tell whether ${one!.name} can be believed: ${sureText(facts, one!)}, and its true calibration error is anywhere up to ${percent(one!.error.high, 1)}.`,
        because: `${facts.level} interval of the true calibration error: ${interval(one!)}.`,
        advice: 'Judge it on more images.',
        short: `too few images to tell whether ${one!.name} can be believed`,
      };
    },
  },
  {
    kind: 'no-difference',
    when: 'no figure of any method differs significantly from the baseline',
    decide(facts) {
      if (significant(facts).length > 0) return undefined;
      const { base, others } = split(facts);
      const better = isOff(base) ? repaired(facts, base) : undefined;
      return {
        sentence: `${others.length === 1 ? `${others[0]!.name} and ${base.name} cannot be told apart` : `No method can be told apart from ${base.name}`} on ${plural(facts.samples, 'image')}${isOff(base) ? `, and ${isText(facts, base, base.name)}: ${sureText(facts, base)}` : ''}.`,
        because: `None of ${plural(deciding(facts), 'figure')} differs significantly${facts.visible === null ? '' : `; calibration errors would have had to differ by some ${percent(facts.visible, 0).replace(' %', '')} points to be told apart`}.`,
        advice: `${better ? `Take ${base.name} with ${better}.` : `There is no reason to leave ${base.name}.`} More images, or more seeds, would show smaller differences.`,
        short: `no method can be told apart${better ? `; ${base.name} with ${better.split(':')[0]!.split(',')[0]!}` : ''}`,
        ...(better && { method: base.id }),
      };
    },
  },
  {
    kind: 'temperature-does-as-much',
    when: 'methods have a lower calibration error or loss than the baseline, but none has once the baseline has a calibrator',
    decide(facts) {
      const { base, others } = split(facts);
      const gains = [facts.error, 'nll', 'brier'];
      const winners = others.filter((one) => one.learned !== false && better(one, gains).length > 0);
      if (winners.length === 0 || base.fitted === null || base.learned === false) return undefined;
      if (others.some((one) => better(one, facts.accuracies.slice(0, 2)).length > 0)) return undefined;
      if (!((base.fitted.error.value ?? 1) < (base.error.value ?? 0))) return undefined;
      const ahead = others.filter(
        ({ againstFitted }) => againstFitted?.[facts.error] === 'better' || againstFitted?.nll === 'better',
      );
      if (
        ahead.length > 0 ||
        others.every(({ againstFitted }) => Object.keys(againstFitted ?? {}).length === 0)
      )
        return undefined;
      const worse = others.filter(
        ({ againstFitted }) => againstFitted?.[facts.error] === 'worse' || againstFitted?.nll === 'worse',
      );
      return {
        sentence: `Believe ${base.name} with ${temperatureText(facts, base)}: ${facts.kind === 'findings' ? 'one fitted number a finding' : 'one fitted number'} does as much as ${winners.length === 1 ? winners[0]!.name : `any of the ${winners.length} methods that help`}. The calibration error of ${base.name} falls from ${percent(base.error.value, 1)} to ${percent(base.fitted.error.value, 1)}.`,
        because: `Without it ${names(winners)} ${winners.length === 1 ? 'is' : 'are'} significantly better in ${labels(
          facts,
          gains.filter((name) => winners.some((one) => better(one, [name]).length > 0)),
          'or',
        )}; with it no method is, in ${labels(facts, [facts.error, 'nll'], 'or')}${worse.length > 0 ? `, and ${names(worse)} ${worse.length === 1 ? 'is' : 'are'} significantly worse` : ''}.`,
        advice: `Fit the ${facts.calibrator} on validation images of the kind that will be seen. Where there are none, take ${lowest(winners).name}: it needs no second step.`,
        short: `believe ${base.name} with a ${facts.calibrator}`,
        method: base.id,
      };
    },
  },
  {
    kind: 'method-better',
    when: 'a method is better calibrated than the baseline, also with a calibrator where one was fitted, and worse in nothing',
    decide(facts) {
      const { base, winners } = split(facts);
      const free = winners.filter((one) => worse(one, [...facts.accuracies, ...facts.losses]).length === 0);
      if (free.length === 0) return undefined;
      const one = lowest(free, 'nll');
      const rest = free.filter((other) => other !== one);
      const ahead = one.againstFitted?.[facts.error] === 'better' || one.againstFitted?.nll === 'better';
      return {
        sentence: `Believe ${one.name}: ${sureText(facts, one)}, while ${sureText(facts, base, base.name)}. Its calibration error is ${percent(one.error.value, 1)} against ${percent(base.error.value, 1)}, at no cost that could be shown.`,
        because: `Significantly better than ${base.name} in ${labels(facts, better(one, Object.keys(facts.figures)), 'and')}${ahead ? `, and than ${base.name} with a ${facts.calibrator} in ${labels(facts, better({ against: one.againstFitted! }, [facts.error, 'nll', 'brier']), 'and')}` : ''}.`,
        advice:
          rest.length > 0
            ? `${names(rest)} ${rest.length === 1 ? 'is' : 'are'} better than ${base.name} too; which of them is best was not shown.`
            : isOff(one)
              ? `${isText(facts, one, 'It', 'still ')}${repaired(facts, one) ? `; with ${repaired(facts, one)}` : ''}.`
              : 'Use its probabilities as they are, on images like these.',
        short: `believe ${one.name}`,
        method: one.id,
      };
    },
  },
  {
    kind: 'trade-off',
    when: 'every method that is better calibrated than the baseline is significantly worse in something else',
    decide(facts) {
      const { base, winners } = split(facts);
      if (winners.length === 0) return undefined;
      const one = lowest(winners);
      const lost = worse(one, [...facts.accuracies, ...facts.losses]);
      return {
        sentence: `Better probabilities have a price here: ${one.name} brings the calibration error from ${percent(base.error.value, 1)} to ${percent(one.error.value, 1)}, and is worse in ${costs(facts, one, base, lost)}.`,
        because: `Each difference from ${base.name} is significant${winners.length > 1 ? `; the same holds of ${names(winners.filter((other) => other !== one))}` : ''}.`,
        advice: `Decide which matters more.${repaired(facts, base) ? ` ${base.name} with ${repaired(facts, base)} costs nothing.` : ''}`,
        short: `${one.name} is better calibrated at a price`,
        ...(repaired(facts, base) && { method: base.id }),
      };
    },
  },
  {
    kind: 'better-otherwise',
    when: 'a method is significantly better in accuracy or a loss, worse in nothing, and no better calibrated',
    decide(facts) {
      const { base, others } = split(facts);
      const wanted = [...facts.accuracies, ...facts.losses];
      const free = others.filter(
        (one) =>
          one.learned !== false &&
          better(one, wanted).length > 0 &&
          worse(one, Object.keys(facts.figures)).length === 0,
      );
      if (free.length === 0) return undefined;
      const one = lowest(free, 'nll');
      const fit = isOff(one) ? repaired(facts, one) : undefined;
      return {
        sentence: `Take ${one.name}: it is better than ${base.name} in ${costs(facts, one, base, better(one, wanted))}, and no worse calibrated as far as ${plural(facts.samples, 'image')} can tell.`,
        because: `Each named difference is significant; calibration errors are ${percent(one.error.value, 1)} and ${percent(base.error.value, 1)}.`,
        advice: isOff(one)
          ? `${isText(facts, one, 'It')}: ${sureText(facts, one)}.${fit ? ` Use it with ${fit}.` : ''}`
          : 'No miscalibration of it could be shown.',
        short: `take ${one.name}`,
        method: one.id,
      };
    },
  },
  {
    kind: 'gap-only',
    when: 'methods differ significantly in how sure they are on average, and in nothing else',
    decide(facts) {
      const { base, others } = split(facts);
      if (significant(facts).some(({ figure }) => figure !== 'confidenceGap')) return undefined;
      const apart = others.filter(({ against }) => against.confidenceGap === 'differs');
      const far = apart.toSorted((a, b) => size(b) - size(a))[0];
      if (far === undefined) return undefined;
      const more = apart.filter((one) => one !== far);
      return {
        sentence: `They differ in how sure they are, and in nothing else that could be shown: ${far.name} is ${gapText(far)}, ${base.name} ${gapText(base)}.`,
        because: `Confidence − accuracy of ${names(apart)} differs significantly from that of ${base.name}; no other of ${plural(deciding(facts), 'figure')} does.`,
        advice: `${size(far) > size(base) ? `Do not take ${far.name} at its word` : `${far.name} is nearer to what it says`}${more.length > 0 ? `; the same question is open for ${names(more)}` : ''}.${isOff(base) && repaired(facts, base) ? ` ${base.name} with ${repaired(facts, base)}.` : ''}`,
        short: `only confidence differs: ${far.name} is ${gapText(far)}`,
      };
    },
  },
  {
    kind: 'baseline-stands',
    when: 'no method is significantly better than the baseline in anything, and some are worse',
    decide(facts) {
      const { base, others } = split(facts);
      const all = Object.keys(facts.figures);
      if (others.some((one) => better(one, all).length > 0)) return undefined;
      const hurt = others.filter((one) => worse(one, all).length > 0);
      if (hurt.length === 0) return undefined;
      const fit = isOff(base) ? repaired(facts, base) : undefined;
      return {
        sentence: `Stay with ${base.name}${fit ? `, and with ${fit}` : `: ${sureText(facts, base)}`}. No method is better in anything that could be shown, and ${names(hurt)} ${hurt.length === 1 ? 'is' : 'are'} worse.`,
        because: hurt
          .map((one) => `${one.name} is significantly worse in ${labels(facts, worse(one, all), 'and')}`)
          .join('; ')
          .concat('.'),
        advice: isOff(base)
          ? `As it was trained, ${isText(facts, base, base.name)}: ${sureText(facts, base)}.`
          : 'Use its probabilities as they are, on images like these.',
        short: `stay with ${base.name}${fit ? ` and a ${facts.calibrator}` : ''}`,
        method: base.id,
      };
    },
  },
  {
    kind: 'mixed',
    when: 'none of the above: some are better here and worse there',
    decide(facts) {
      const { base, others } = split(facts);
      const all = Object.keys(facts.figures);
      const told = others.flatMap((one) => {
        const [up, down] = [better(one, all), worse(one, all)];
        const parts = [
          ...(up.length > 0 ? [`better in ${labels(facts, up, 'and')}`] : []),
          ...(down.length > 0 ? [`worse in ${labels(facts, down, 'and')}`] : []),
        ];
        return parts.length === 0 ? [] : [`${one.name} is ${list(parts, 'but')}`];
      });
      const fit = isOff(base) ? repaired(facts, base) : undefined;
      return {
        sentence: `No method is simply better than ${base.name}: ${told.slice(0, 2).join('; ')}${told.length > 2 ? `; and ${plural(told.length - 2, 'more differs', 'more differ')}` : ''}.`,
        because: 'Each named difference is significant; those that are not named are not.',
        advice: fit
          ? `Take ${base.name} with ${fit}, unless one of these matters more.`
          : 'Decide which of these matters; everything that differs stands below.',
        short: 'no method is simply better',
        ...(fit && { method: base.id }),
      };
    },
  },
];

/** Adds a rule; `before` names the one that it is asked before, else it is asked last but for `mixed`. */
export function registerRule(rule: Rule, before = 'mixed'): void {
  const at = rules.findIndex(({ kind }) => kind === before);
  rules.splice(at < 0 ? rules.length : at, 0, rule);
}

/** The rules in the order in which they are asked. */
export function ruleList(): readonly Rule[] {
  return rules;
}

/** The verdict on these facts: that of the first rule that holds. */
export function decide(facts: Facts): Verdict {
  for (const { kind, decide: verdict } of rules) {
    const found = verdict(facts);
    if (found !== undefined) return { kind, ...found };
  }
  throw new RangeError('the last rule holds always');
}

/** What must be known besides the verdict, a sentence each. */
export function cautions(facts: Facts): string[] {
  const { methods, ignorant } = facts;
  const some = (wanted: (one: MethodFacts) => boolean) => methods.filter(wanted);
  const lost = some(({ learned }) => learned === false);
  const base = split(facts).base.name;
  const moved = methods.flatMap(({ name, cut = {} }) => {
    const [up, down] = [
      better({ against: cut }, Object.keys(cut)),
      worse({ against: cut }, Object.keys(cut)),
    ];
    const parts = [
      ...(up.length > 0 ? [`higher in ${labels(facts, up, 'and')}`] : []),
      ...(down.length > 0 ? [`lower in ${labels(facts, down, 'and')}`] : []),
    ];
    return parts.length === 0 ? [] : [`${name} is ${list(parts, 'and')}`];
  });
  const plain = some(({ learned, beatsMajority }) => learned === true && beatsMajority === false);
  return [
    ...(lost.length > 0 && lost.length < methods.length
      ? [
          `${names(lost)} learned nothing: no better than class frequencies alone. A low calibration error of such a network is no merit.`,
        ]
      : []),
    ...(plain.length > 0 && ignorant !== null
      ? [
          `${names(plain)} ${plain.length === 1 ? 'ranks' : 'rank'} images better than chance but ${plain.length === 1 ? 'is' : 'are'} right no more often than answering ${lower(ignorant.name)} (${percent(ignorant.right)}).`,
        ]
      : []),
    ...(moved.length > 0
      ? [
          `At thresholds chosen on validation, against ${base}: ${moved.join('; ')}. That is where they cut, not how well they rank.`,
        ]
      : []),
  ];
}

/** A method's own verdict in a word or two, whatever the others are, and whether that is good or bad. */
export function wordOf(
  facts: Facts,
  one: MethodFacts,
): { readonly word: string; readonly kind: 'good' | 'bad' | 'open' } {
  const { gap } = one;
  if (one.learned === false) return { word: 'learned nothing', kind: 'bad' };
  const findings = facts.kind === 'findings';
  if (gap?.low != null && gap.low > 0)
    return { word: findings ? 'expects too much' : 'over-confident', kind: 'bad' };
  if (gap?.high != null && gap.high < 0)
    return { word: findings ? 'expects too little' : 'under-confident', kind: 'bad' };
  if (isOff(one)) return { word: 'miscalibrated', kind: 'bad' };
  if (isSmall(one)) return { word: 'can be believed', kind: 'good' };
  return { word: one.error.high === null ? 'not tested' : 'no miscalibration shown', kind: 'open' };
}

/** `54 %`. */
export function percent(share: number | null, digits = 0): string {
  return share === null ? 'an unknown share' : `${(100 * share).toFixed(digits)} %`;
}

function split(facts: Facts) {
  const base = facts.methods.find(({ id }) => id === facts.baseline) ?? facts.methods[0]!;
  const others = facts.methods.filter((one) => one !== base);
  const winners = others.filter(
    ({ against, learned }) => learned !== false && against[facts.error] === 'better',
  );
  return { base, others, winners };
}

function significant({ methods }: Facts): { readonly method: string; readonly figure: string }[] {
  return methods.flatMap(({ id, against }) =>
    Object.entries(against).flatMap(([figure, verdict]) =>
      verdict === 'undecided' || verdict === 'untested' ? [] : [{ method: id, figure }],
    ),
  );
}

/** How many figures decide. */
function deciding(facts: Facts): number {
  return Object.values(facts.figures).filter(({ needs }) => needs !== 'thresholds').length;
}

function better({ against }: Pick<MethodFacts, 'against'>, figures: readonly string[]): string[] {
  return figures.filter((name) => against[name] === 'better');
}

function worse({ against }: Pick<MethodFacts, 'against'>, figures: readonly string[]): string[] {
  return figures.filter((name) => against[name] === 'worse');
}

/** The one with the lowest value of a figure; of the calibration error by default. */
function lowest(methods: readonly MethodFacts[], figure?: string): MethodFacts {
  const value = (one: MethodFacts) =>
    (figure === undefined ? one.error.value : one.values[figure]) ??
    one.error.value ??
    Number.POSITIVE_INFINITY;
  return methods.toSorted((a, b) => value(a) - value(b))[0]!;
}

function isOff({ error, gap }: MethodFacts): boolean {
  return (error.low ?? 0) > 0 || (gap?.low ?? 0) > 0 || (gap?.high ?? 0) < 0;
}

function isSmall({ error }: MethodFacts): boolean {
  return error.high !== null && error.high <= SMALL;
}

/** `a temperature of 1.9: calibration error 3.1 % instead of 18.9 %`; undefined where none was fitted or it does not help. */
function repaired(facts: Facts, one: MethodFacts): string | undefined {
  const { fitted, error } = one;
  if (
    fitted === null ||
    fitted.error.value === null ||
    error.value === null ||
    fitted.error.value >= error.value
  )
    return undefined;
  return `${temperatureText(facts, one)}: its calibration error is then ${percent(fitted.error.value, 1)} instead of ${percent(error.value, 1)}`;
}

function temperatureText({ calibrator }: Facts, { fitted }: MethodFacts): string {
  const value = fitted?.temperature;
  return value == null
    ? calibrator === 'temperature'
      ? 'a temperature'
      : String(calibrator)
    : `a temperature of ${value.toFixed(2).replace(/0$/, '')}`;
}

/** `hard labels is over-confident`, `hard labels expects too much`. */
function isText(facts: Facts, one: MethodFacts, who: string, still = ''): string {
  const { word } = wordOf(facts, one);
  return /^(expects|learned|can) /.test(word) ? `${who} ${still}${word}` : `${who} is ${still}${word}`;
}

function sureText({ kind }: Facts, { sure, right }: MethodFacts, who = 'it'): string {
  if (sure === null || right === null) return `how sure ${who} is on average is not defined`;
  return kind === 'findings'
    ? `${who} expects a finding in ${percent(sure)} and ${percent(right)} have it`
    : `${who} is ${percent(sure)} sure and right in ${percent(right)}`;
}

function gapText({ gap }: MethodFacts): string {
  const value = gap?.value ?? 0;
  const points = Math.abs(100 * value).toFixed(0);
  if (gap?.low != null && gap.low > 0) return `${points} points over-confident`;
  if (gap?.high != null && gap.high < 0) return `${points} points under-confident`;
  return 'neither over- nor under-confident beyond chance';
}

function size({ gap }: MethodFacts): number {
  return Math.abs(gap?.value ?? 0);
}

function interval({ error }: MethodFacts): string {
  return error.low === null || error.high === null
    ? 'none'
    : `${percent(error.low, 1).replace(' %', '')} to ${percent(error.high, 1)}`;
}

/** `Top-1 (54.1 against 55.5 %)`. */
function costs(facts: Facts, one: MethodFacts, base: MethodFacts, figures: readonly string[]): string {
  return list(
    figures.map((name) => {
      const figure = facts.figures[name]!;
      return `${shortLabel(facts, name)} (${valueText(figure, one.values[name] ?? null)} against ${valueText(figure, base.values[name] ?? null)})`;
    }),
  );
}

function labels(facts: Facts, figures: readonly string[], last: 'and' | 'or'): string {
  const named = figures.flatMap((name) => (name in facts.figures ? shortLabel(facts, name) : []));
  return list([...new Set(named)], last);
}

/** All forms of the calibration error are one thing in a sentence. */
function shortLabel({ figures }: Facts, name: string): string {
  const { sort, label } = figures[name]!;
  return sort === 'calibration' || /ECE|MCE/.test(label) ? 'calibration error' : label;
}

function names(methods: readonly MethodFacts[]): string {
  return methods.length > 6
    ? `${formatCount(methods.length)} methods`
    : list(methods.map(({ name }) => name));
}

/** In the middle of a sentence; the name of a class in it stays as it is. */
function lower(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

function range(shares: readonly number[]): string {
  if (shares.length === 0) return 'an unknown share';
  const [low, high] = [Math.min(...shares), Math.max(...shares)].map((share) => (100 * share).toFixed(0));
  return low === high ? `${low} %` : `${low} to ${high} %`;
}

function rangeOf(values: readonly (number | null)[], digits: number): string {
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return 'not defined';
  const [low, high] = [Math.min(...known), Math.max(...known)].map((value) => value.toFixed(digits));
  return low === high ? low! : `${low} to ${high}`;
}
