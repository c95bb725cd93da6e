import { z } from 'zod';
import type { Outputs } from '../../figures/index.ts';
import { type Child, markup, prose, tag } from '../../page/index.ts';
import { swatch } from '../draw/marker.ts';
import { outputsByMethod } from '../judged.ts';
import { rounded } from '../one-by-one.ts';
import type { Part } from '../part.ts';
import { percent } from '../verdict/rules.ts';
import type { View } from '../view.ts';

/** Images to look at: where the networks were surest and wrong, and where they were right and least sure. */
export interface ImageResults {
  readonly errors: readonly ShownImage[];
  readonly hits: readonly ShownImage[];
}

export interface ShownImage {
  /** Its place among the judged ones, from 0. No name: a file's name may hold a patient's. */
  readonly sample: number;
  /** A `data:` address; undefined where it could not be read. */
  readonly picture?: string;
  /** What is true: the class, or the finding that it is shown for. */
  readonly truth: string;
  /** What each method said, in order; means over runs. */
  readonly said: readonly {
    readonly method: string;
    readonly answer: string;
    readonly probability: number;
    readonly right: boolean;
  }[];
}

const COUNT = 8;

export const imagesPart: Part<ImageResults, { readonly count: number }> = {
  name: 'images',
  title: 'Images to look at',
  kinds: ['one-of-k', 'findings'],
  settings: z
    .union([
      z.literal(false),
      z.strictObject({
        count: z.int().min(1).max(60).default(COUNT).describe('How many of each sort.'),
      }),
    ])
    .prefault({})
    .describe('The surest errors and the least sure hits as small pictures; false for none.')
    .meta({ examples: [{ count: 8 }, false] }),
  async measure({ judged, settings: { count }, indices, tell }) {
    const { pictures } = judged;
    if (pictures === undefined) return { absent: 'no images were given', quiet: true };
    tell('images to look at');
    const seen: { id: string; runs: Outputs[] }[] = [];
    for await (const { id, outputs } of outputsByMethod(judged)) seen.push({ id, runs: outputs });
    const { errors, hits } =
      judged.kind === 'one-of-k' ? pickClasses(seen, count) : pickFindings(seen, count);
    const found = await pictures([...errors, ...hits].map(({ sample }) => indices?.[sample] ?? sample));
    const withPicture = (one: ShownImage, at: number): ShownImage => ({
      ...one,
      ...(found[at] && { picture: found[at] }),
    });
    return {
      errors: errors.map(withPicture),
      hits: hits.map((one, i) => withPicture(one, errors.length + i)),
    };
  },
  show(results, view) {
    return {
      blocks: [
        {
          html: markup([
            gallery(view, 'Surest errors', results.errors),
            gallery(view, 'Least sure hits', results.hits),
          ]),
        },
      ],
    };
  },
};

interface Seen {
  readonly id: string;
  readonly runs: readonly Outputs[];
}

/** Mean probabilities over runs, N×K. */
function meanOf(runs: readonly Outputs[]): Float64Array {
  const sum = new Float64Array(runs[0]!.probabilities.length);
  for (const { probabilities } of runs)
    for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + probabilities[i]! / runs.length;
  return sum;
}

/** Errors by how sure all methods that are wrong are together; hits of all methods by how little sure they are. */
function pickClasses(seen: readonly Seen[], count: number) {
  const { targets } = seen[0]!.runs[0]!;
  const k = targets.names.length;
  const n = targets.values.length;
  const tops = seen.map(({ id, runs }) => {
    const mean = meanOf(runs);
    const answer = new Int32Array(n);
    for (let i = 0; i < n; i++)
      for (let c = 1; c < k; c++) if (mean[i * k + c]! > mean[i * k + answer[i]!]!) answer[i] = c;
    return { id, answer, sure: Float64Array.from(answer, (c, i) => mean[i * k + c]!) };
  });
  const wrong = Float64Array.from({ length: n }, (_, i) =>
    tops.reduce((sum, { answer, sure }) => sum + (answer[i] === targets.values[i] ? 0 : sure[i]!), 0),
  );
  const sure = Float64Array.from({ length: n }, (_, i) => tops.reduce((sum, top) => sum + top.sure[i]!, 0));
  const of = (i: number): ShownImage => ({
    sample: i,
    truth: targets.names[targets.values[i]!]!,
    said: tops.map(({ id, answer, sure: own }) => ({
      method: id,
      answer: targets.names[answer[i]!]!,
      probability: rounded(own[i]!),
      right: answer[i] === targets.values[i],
    })),
  });
  const all = Array.from({ length: n }, (_, i) => i);
  return {
    errors: all
      .filter((i) => wrong[i]! > 0)
      .sort((a, b) => wrong[b]! - wrong[a]!)
      .slice(0, count)
      .map(of),
    hits: all
      .filter((i) => wrong[i] === 0)
      .sort((a, b) => sure[a]! - sure[b]!)
      .slice(0, count)
      .map(of),
  };
}

/** A pair of image and finding: errors by how far the probability is on the wrong side, hits by how near to the middle. */
function pickFindings(seen: readonly Seen[], count: number) {
  const { targets } = seen[0]!.runs[0]!;
  const k = targets.names.length;
  const means = seen.map(({ id, runs }) => ({ id, mean: meanOf(runs) }));
  const mask = targets.kind === 'findings' ? targets.mask : undefined;
  const scored: { at: number; off: number; lost: boolean }[] = [];
  for (let at = 0; at < targets.values.length; at++) {
    if (mask?.[at] === 0) continue;
    const y = targets.values[at]! > 0.5 ? 1 : 0;
    const off = means.reduce((sum, { mean }) => sum + Math.abs(mean[at]! - y), 0) / means.length;
    scored.push({ at, off, lost: means.some(({ mean }) => mean[at]! > 0.5 !== (y === 1)) });
  }
  const of = ({ at }: { at: number }): ShownImage => {
    const there = targets.values[at]! > 0.5;
    const name = targets.names[at % k]!;
    return {
      sample: Math.floor(at / k),
      truth: `${name}: ${there ? 'present' : 'absent'}`,
      said: means.map(({ id, mean }) => ({
        method: id,
        answer: name,
        probability: rounded(mean[at]!),
        right: mean[at]! > 0.5 === there,
      })),
    };
  };
  return {
    errors: scored
      .filter(({ lost }) => lost)
      .sort((a, b) => b.off - a.off)
      .slice(0, count)
      .map(of),
    hits: scored
      .filter(({ lost }) => !lost)
      .sort((a, b) => b.off - a.off)
      .slice(0, count)
      .map(of),
  };
}

function gallery(view: View, title: string, images: readonly ShownImage[]): Child {
  if (images.length === 0) return [tag('h5', {}, title), tag('p', { class: 'note' }, 'There are none.')];
  const what =
    title === 'Surest errors'
      ? 'Where the methods were wrong and surest of it: look here for wrong labels and for what the networks have not learned.'
      : 'Where all methods were right and least sure.';
  return [
    tag('h5', {}, title),
    tag(
      'p',
      { class: 'note' },
      prose(`${what} Under each what is true, and what each method said (mean over its runs).`),
    ),
    tag(
      'div',
      { class: 'images' },
      images.map(({ sample, picture, truth, said }) =>
        tag(
          'figure',
          {},
          picture === undefined
            ? tag('p', { class: 'note' }, 'This image could not be read.')
            : tag('img', { src: picture, alt: `Judged image ${sample + 1}, ${truth}` }),
          tag(
            'figcaption',
            {},
            tag('b', {}, truth),
            said.map(({ method, answer, probability, right }) => [
              tag('br'),
              tag(
                'span',
                { 'data-m': view.series(method) },
                swatch(view.series(method)),
                ' ',
                prose(`${percent(probability)} ${answer} `),
                tag('span', { class: right ? 'good' : 'bad' }, right ? '✓' : '✗'),
              ),
            ]),
            tag('br'),
            `image ${sample + 1}`,
          ),
        ),
      ),
    ),
  ];
}
