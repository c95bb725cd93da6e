import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { normalCdf } from '../../normal.ts';
import { Random } from '../../random.ts';
import { amountOf } from './drawing.ts';
import { evidenceOf, Posterior } from './evidence.ts';
import { LATENT, latentIndex } from './findings.ts';
import {
  type Case,
  CLINIC_FINDINGS,
  CLINIC_NAMES,
  decodeMask,
  encodeMask,
  MASK_THRESHOLD,
  SILENT,
  seeClinic,
  splitOf,
} from './index.ts';
import { NO_LABEL, plainLabels } from './labeler.ts';
import { DIALS, dialsOf } from './options.ts';
import { prevalences, studiesOf } from './patients.ts';
import { WORDINGS } from './phrases.ts';
import { placesOf } from './places.ts';
import { Radiographs } from './radiograph.ts';
import { sayingsOf, staffOf } from './readers.ts';
import { writeReport } from './report.ts';

const SMALL = { images: 60, size: 32, seed: 4 };

/** Patients without pictures: what statistics need, quickly. */
interface Seen {
  readonly present: Uint8Array;
  readonly reader: Float32Array;
  readonly picture: Float32Array;
  readonly said: Int8Array;
  readonly plain: Int8Array;
}
let crowd: Seen[];
const CROWD = dialsOf({ images: 8000, size: 32, seed: 11, artefacts: 0.06 });
const SKILL = 0.9;

beforeAll(() => {
  const posterior = new Posterior(CROWD);
  const [first] = staffOf(CROWD);
  const eye = { ...first, skill: SKILL };
  crowd = Array.from(studiesOf(CROWD), (study) => {
    const evidence = evidenceOf(study, SKILL, CROWD);
    const reader = new Float32Array(LATENT + 1);
    const picture = new Float32Array(LATENT + 1);
    posterior.of(evidence.reader, SKILL, reader);
    posterior.of(evidence.picture, 1, picture);
    const said = sayingsOf(reader, eye, new Random(1, study.index));
    const plain = new Int8Array(LATENT + 1);
    plainLabels(said, 0, CROWD, new Random(2, study.index), plain);
    return { present: study.present, reader, picture, said, plain };
  });
}, 120_000);

test('a study is a function of the seed, its number and the dials, whoever draws it', () => {
  const whole = [...seeClinic(SMALL)];
  expect(whole.map(({ index }) => index)).toEqual(whole.map((_, i) => i));
  expect([...seeClinic({ ...SMALL, images: 20 })]).toEqual(whole.slice(0, 20));
  const parts = [0, 1, 2].flatMap((part) => [...seeClinic(SMALL, { part, parts: 3 })]);
  expect(parts.sort((a, b) => a.index - b.index)).toEqual(whole);
  expect([...seeClinic({ ...SMALL, seed: 5 })].map(({ pixels }) => pixels)).not.toEqual(
    whole.map(({ pixels }) => pixels),
  );
});

test('dials of readers, words and labels leave patients and pictures as they are', () => {
  const pictures = (cases: Case[]) =>
    cases.map(({ pixels, findings, picturePosterior, drawn }) => ({
      pixels,
      findings,
      picturePosterior,
      drawn,
    }));
  const plain = [...seeClinic(SMALL)];
  for (const dial of [
    { correlation: 0 },
    { skill: 2 },
    { readers: 2 },
    { habit: 1 },
    { silence: 0.9 },
    { dictation: 3 },
    { misses: 0.4 },
  ]) {
    expect(pictures([...seeClinic({ ...SMALL, ...dial })]), JSON.stringify(dial)).toEqual(pictures(plain));
  }
  // And the labeler's dials leave the reports as they are.
  const reports = (cases: Case[]) => cases.map(({ report, said }) => ({ report, said }));
  expect(reports([...seeClinic({ ...SMALL, misses: 0.5, falseAlarms: 0.5, deafness: 1 })])).toEqual(
    reports(plain),
  );
  expect(reports([...seeClinic({ ...SMALL, habit: 1 })])).not.toEqual(reports(plain));
});

test('findings are as frequent as asked, more frequent with the dial, and correlated as the copula says', () => {
  const n = crowd.length;
  const share = (k: number) => crowd.reduce((sum, { present }) => sum + present[k], 0) / n;
  prevalences(CROWD).forEach((p, k) => {
    // Studies of a patient are alike, so wider than binomial.
    expect(Math.abs(share(k) - p), CLINIC_FINDINGS[k].name).toBeLessThan(6 * Math.sqrt((p * (1 - p)) / n));
  });
  const doubled = prevalences({ prevalence: 2 });
  const once = prevalences({ prevalence: 1 });
  for (let k = 0; k < LATENT; k++)
    expect(doubled[k] / (1 - doubled[k])).toBeCloseTo((2 * once[k]) / (1 - once[k]), 10);
  const together = (a: string, b: string) => {
    const [i, j] = [latentIndex(a), latentIndex(b)];
    return crowd.filter(({ present }) => present[i] && present[j]).length / n / (share(i) * share(j));
  };
  expect(together('Edema', 'Pleural Effusion')).toBeGreaterThan(1.5);
  expect(together('Consolidation', 'Pneumonia')).toBeGreaterThan(2);
  expect(together('Pneumothorax', 'Fracture')).toBeGreaterThan(1.3);
  // No loading in common.
  expect(Math.abs(together('Cardiomegaly', 'Pneumothorax') - 1)).toBeLessThan(0.3);
});

test("two findings' joint frequency is the copula's, by an integral of its own", () => {
  // P(both) = ∫ φ(z) 1[z > t_i] Φ((ρz − t_j) / √(1 − ρ²)) dz with ρ = a_i·a_j.
  const [i, j] = [latentIndex('Consolidation'), latentIndex('Pneumonia')];
  const p = prevalences(CROWD);
  const rho = CLINIC_FINDINGS[i].loadings.reduce((sum, a, f) => sum + a * CLINIC_FINDINGS[j].loadings[f], 0);
  const quantile = (q: number) => {
    let [low, high] = [-9, 9];
    for (let step = 0; step < 60; step++)
      normalCdf((low + high) / 2) < q ? (low = (low + high) / 2) : (high = (low + high) / 2);
    return low;
  };
  const [ti, tj] = [quantile(1 - p[i]), quantile(1 - p[j])];
  let both = 0;
  for (let z = ti; z < 9; z += 1e-3)
    both +=
      ((1e-3 * Math.exp((-z * z) / 2)) / Math.sqrt(2 * Math.PI)) *
      normalCdf((rho * z - tj) / Math.sqrt(1 - rho * rho));
  const seen = crowd.filter(({ present }) => present[i] && present[j]).length / crowd.length;
  expect(Math.abs(seen - both)).toBeLessThan(6 * Math.sqrt(both / crowd.length));
});

test.each(['reader', 'picture'] as const)(
  "the posterior of the %s's evidence is calibrated against the truth",
  (whose) => {
    for (let k = 0; k <= LATENT; k++) {
      const truth = ({ present }: Seen) =>
        k > 0 ? present[k - 1] : present.some((y, j) => y && CLINIC_FINDINGS[j].pathology) ? 0 : 1;
      const bins = Array.from({ length: 8 }, () => ({ n: 0, p: 0, y: 0, variance: 0 }));
      for (const seen of crowd) {
        const p = seen[whose][k];
        // Even in log-odds: rare findings live near 0.
        const bin = bins[Math.max(0, Math.min(7, Math.floor(Math.log(p / (1 - p + 1e-9)) + 4)))];
        bin.n++;
        bin.p += p;
        bin.y += truth(seen);
        bin.variance += p * (1 - p);
      }
      bins.forEach(({ n, p, y, variance }, b) => {
        if (n < 20) return;
        expect(Math.abs(y - p), `${CLINIC_NAMES[k]}, bin ${b} of ${n}`).toBeLessThan(
          5 * Math.sqrt(variance) + 1,
        );
      });
    }
  },
);

test('no method is favoured: words and labels tell nothing of the truth beyond what the reader saw', () => {
  // Whatever was said or labelled, findings are as frequent as the reader's posterior says.
  const strata = (of: (seen: Seen, k: number) => number) => {
    const sums = new Map<number, { n: number; rest: number; variance: number }>();
    for (const seen of crowd) {
      for (let k = 0; k < LATENT; k++) {
        const p = seen.reader[k + 1];
        const sum = sums.get(of(seen, k)) ?? { n: 0, rest: 0, variance: 0 };
        sum.n++;
        sum.rest += seen.present[k] - p;
        sum.variance += p * (1 - p);
        sums.set(of(seen, k), sum);
      }
    }
    return sums;
  };
  const said = strata(({ said }, k) => said[k]);
  expect(said.size).toBe(10);
  for (const sums of [said, strata(({ plain }, k) => plain[k + 1])]) {
    for (const [value, { n, rest, variance }] of sums)
      expect(Math.abs(rest), `${value}, ${n} cases`).toBeLessThan(5 * Math.sqrt(variance) + 1);
  }
  // The picture knows what the reader does not, and the other way round.
  const both = crowd.flatMap(({ reader, picture }) => [reader[10] - picture[10]]);
  expect(Math.max(...both)).toBeGreaterThan(0.5);
  expect(Math.min(...both)).toBeLessThan(-0.5);
});

test('every corner of the dials gives whole cases', () => {
  const corner = (name: keyof typeof DIALS) =>
    fc.constantFrom(DIALS[name][1], DIALS[name][0], DIALS[name][2]);
  const dials = fc.record({
    prevalence: corner('prevalence'),
    conspicuity: corner('conspicuity'),
    artefacts: corner('artefacts'),
    correlation: corner('correlation'),
    skill: corner('skill'),
    habit: corner('habit'),
    silence: corner('silence'),
    dictation: corner('dictation'),
    deafness: corner('deafness'),
  });
  fc.assert(
    fc.property(dials, fc.nat(), (given, seed) => {
      for (const seen of seeClinic({ ...given, images: 2, size: 32, seed })) {
        for (const p of [...seen.readerPosterior, ...seen.picturePosterior]) {
          expect(p).toBeGreaterThanOrEqual(0);
          expect(p).toBeLessThanOrEqual(1 + 1e-6);
        }
        expect(seen.report.length).toBeGreaterThan(20);
        expect(new Set(seen.pixels).size).toBeGreaterThan(20);
      }
    }),
    { numRuns: 20 },
  );
});

test('without correlations and artefacts the posterior is Bayes of one finding, in closed form', () => {
  const dials = dialsOf({ artefacts: 0 });
  const posterior = new Posterior(dials);
  const out = new Float32Array(LATENT + 1);
  const p = prevalences(dials);
  // Cardiomegaly and Pneumothorax share no factor; with evidence that says nothing of the others, each stands alone.
  const neutral = Float64Array.from(CLINIC_FINDINGS, ({ detectability }) => detectability / 2);
  const k = latentIndex('Lung Lesion');
  for (const e of [-1, 0.5, 1, 2.5]) {
    neutral[k] = e;
    posterior.of(neutral, 1, out);
    const d = CLINIC_FINDINGS[k].detectability;
    const ratio = Math.exp(d * e - (d * d) / 2);
    expect(out[k + 1]).toBeCloseTo((p[k] * ratio) / (1 - p[k] + p[k] * ratio), 4);
  }
});

test('the picture tells more to a better eye, and the reader of another eye knows something else', () => {
  const auroc = (whose: 'reader' | 'picture', k: number) => {
    const sorted = crowd
      .map((seen) => ({ p: seen[whose][k + 1], y: seen.present[k] }))
      .sort((a, b) => a.p - b.p);
    let ranks = 0;
    let positives = 0;
    sorted.forEach(({ y }, rank) => {
      if (y) ranks += rank + 1;
      positives += y;
    });
    return (ranks - (positives * (positives + 1)) / 2) / (positives * (sorted.length - positives));
  };
  for (const name of ['Pleural Effusion', 'Edema', 'Atelectasis']) {
    const k = latentIndex(name);
    expect(auroc('picture', k)).toBeGreaterThan(auroc('reader', k));
    expect(auroc('reader', k)).toBeGreaterThan(0.8);
    expect(auroc('picture', k)).toBeLessThan(0.99);
  }
});

test('pictures and reports follow evidence and never look at the truth', () => {
  // The same noise with and without the finding: where the evidence is the same, so is all that is made of it.
  const dials = dialsOf(SMALL);
  const radiographs = new Radiographs(dials);
  const places = placesOf(3, dials);
  const evidence = Float64Array.from({ length: LATENT }, (_, k) => k % 3);
  const [one, two] = [new Uint8Array(32 * 32), new Uint8Array(32 * 32)];
  radiographs.draw({ patient: 3, visit: 0 }, places, evidence, one);
  radiographs.draw({ patient: 3, visit: 0 }, places, Float64Array.from(evidence), two);
  expect(two).toEqual(one);
  const [reader] = staffOf(dials);
  const said = sayingsOf(new Float32Array(LATENT + 1).fill(0.3), reader, new Random(1));
  const dictation = { reader, said, evidence, places, before: undefined };
  expect(writeReport(dictation, new Random(2))).toBe(writeReport(dictation, new Random(2)));
});

test('masks are where the picture changes when the finding is left out', () => {
  const size = 96;
  const dials = dialsOf({ size, seed: 2 });
  const radiographs = new Radiographs(dials);
  for (let k = 0; k < LATENT; k++) {
    const { name, detectability } = CLINIC_FINDINGS[k];
    for (const patient of [1, 2, 3, 4]) {
      const places = placesOf(patient, dials);
      const evidence = new Float64Array(LATENT).fill(-2);
      const [without, withIt] = [new Uint8Array(size * size), new Uint8Array(size * size)];
      const study = { patient, visit: 0 };
      evidence[latentIndex('Cardiomegaly')] = 0;
      expect(radiographs.draw(study, places, evidence, without, false)).toEqual([]);
      evidence[k] = detectability + 1;
      const [drawn] = radiographs.draw(study, places, evidence, withIt, false);
      expect(drawn?.finding, name).toBe(k);
      const mask = decodeMask(drawn.counts, size);
      // Grey per density is contrast (about 1) in the middle of the curve and less at its ends: never more than 1.2.
      let outside = 0;
      let inside = 0;
      let area = 0;
      for (let at = 0; at < mask.length; at++) {
        const change = Math.abs(withIt[at] - without[at]);
        if (mask[at] === 0 && change > 255 * MASK_THRESHOLD * 1.2 + 1) outside++;
        if (mask[at] === 1) area++;
        if (mask[at] === 1 && change > 0) inside++;
      }
      expect(outside, `${name}, patient ${patient}`).toBe(0);
      expect(area).toBeGreaterThan(0);
      expect(inside / area, `${name}, patient ${patient}`).toBeGreaterThan(0.9);
    }
  }
});

test('run lengths of a mask give it back, and are COCO order', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), fc.infiniteStream(fc.boolean()), (size, bits) => {
      const mask = Uint8Array.from({ length: size * size }, () => (bits.next().value ? 1 : 0));
      const counts = encodeMask(mask, size);
      expect(counts.reduce((a, b) => a + b)).toBe(size * size);
      expect(decodeMask(counts, size)).toEqual(mask);
    }),
  );
  // Down the columns: the second pixel of the first row starts the second column.
  expect(encodeMask(Uint8Array.from([0, 1, 0, 0]), 2)).toEqual([2, 1, 1]);
});

test('more evidence draws more, and nothing is drawn for most who have nothing', () => {
  for (const { detectability: d } of CLINIC_FINDINGS) {
    let before = 0;
    for (let x = -3; x < 6; x += 0.25) {
      expect(amountOf(x, d)).toBeGreaterThan(before);
      before = amountOf(x, d);
    }
    expect(amountOf(d, d)).toBeCloseTo(1, 10);
    expect(amountOf(-0.5, d)).toBeLessThan(0.06);
  }
});

test('words follow belief: surer beliefs are said more surely, on average over the staff', () => {
  const staff = staffOf(dialsOf({ readers: 12 }));
  const mean = (p: number) => {
    let [sum, n] = [0, 0];
    staff.forEach((reader, r) => {
      for (let i = 0; i < 40; i++) {
        for (const level of sayingsOf(new Float32Array(LATENT + 1).fill(p), reader, new Random(r, i))) {
          if (level === SILENT) continue;
          sum += level;
          n++;
        }
      }
    });
    return sum / n;
  };
  const levels = [0.01, 0.06, 0.2, 0.35, 0.5, 0.65, 0.85, 0.95, 0.995].map(mean);
  for (let i = 1; i < levels.length; i++) expect(levels[i]).toBeGreaterThan(levels[i - 1]);
  expect(levels[0]).toBeLessThan(0.6);
  expect(levels[8]).toBeGreaterThan(7);
});

test('habit hedges what is sure, silence is silent', () => {
  const seen = (dials: object) =>
    [...seeClinic({ ...SMALL, images: 300, ...dials })].flatMap(({ said }) => [...said]);
  const hedged = (said: number[]) =>
    said.filter((level) => level > 1 && level < 7).length / said.filter((level) => level !== SILENT).length;
  expect(hedged(seen({ habit: 1 }))).toBeGreaterThan(1.5 * hedged(seen({ habit: 0 })));
  const silent = (said: number[]) => said.filter((level) => level === SILENT).length / said.length;
  expect(silent(seen({ silence: 0.9 }))).toBeGreaterThan(silent(seen({ silence: 0 })) + 0.2);
});

test('the plain labeler errs as often as its dials say', () => {
  const dials = dialsOf({ misses: 0.2, falseAlarms: 0.1, deafness: 0.4 });
  const out = new Int8Array(LATENT + 1);
  const count = { misses: 0, falseAlarms: 0, deaf: 0 };
  const n = 4000;
  for (let i = 0; i < n; i++) {
    const random = new Random(i, 7);
    plainLabels(
      Int8Array.from({ length: LATENT }, (_, k) => [0, 8, 4, SILENT][k % 4]),
      0,
      dials,
      random,
      out,
    );
    if (out[1] === 1) count.falseAlarms++;
    if (out[2] === 0) count.misses++;
    if (out[3] === 1) count.deaf++;
    expect(out[4]).toBe(NO_LABEL);
    expect(out[0]).toBe(NO_LABEL);
  }
  expect(Math.abs(count.misses / n - 0.2)).toBeLessThan(0.03);
  expect(Math.abs(count.falseAlarms / n - 0.1)).toBeLessThan(0.025);
  expect(Math.abs(count.deaf / n - 0.4)).toBeLessThan(0.04);
  plainLabels(new Int8Array(LATENT).fill(SILENT), 0, dials, new Random(1), out);
  expect(out[0]).toBe(1);
});

test('several readers read a study: different people, the first as without the others, together nearer to the picture', () => {
  const options = { ...SMALL, images: 300, size: 32, correlation: 0.8, habit: 0 };
  const alone = [...seeClinic(options)];
  const shared = [...seeClinic({ ...options, reads: 3 })];
  let [one, three, n] = [0, 0, 0];
  shared.forEach((seen, i) => {
    const { others, ...first } = seen;
    expect({ ...first, others: [] }).toEqual(alone[i]);
    expect(new Set([first.reader, ...others.map(({ reader }) => reader)]).size).toBe(3);
    expect(others[0].report).not.toBe(first.report);
    seen.picturePosterior.forEach((truth, k) => {
      const mean = [seen, ...others].reduce((sum, { readerPosterior }) => sum + readerPosterior[k] / 3, 0);
      one += Math.abs(seen.readerPosterior[k] - truth);
      three += Math.abs(mean - truth);
      n++;
    });
  });
  expect(three / n).toBeLessThan(0.9 * (one / n));
  expect(() => dialsOf({ readers: 2, reads: 3 })).toThrow('reads is 3, and there are 2 readers');
});

test('systematic errors fall on the same phrases of the same readers, as often as the others', () => {
  const out = new Int8Array(LATENT + 1);
  const said = new Int8Array(LATENT).fill(8);
  const missed = (systematic: number) => {
    const dials = dialsOf({ misses: 0.2, systematic });
    return Array.from({ length: 200 }, (_, reader) =>
      Array.from({ length: 40 }, (_one, i) => {
        plainLabels(said, reader, dials, new Random(i, reader), out);
        return out[3] === 0 ? 1 : 0;
      }),
    );
  };
  const share = (readers: number[][]) => readers.flat().reduce((a, b) => a + b, 0) / 8000;
  const spread = (readers: number[][]) =>
    readers.filter((own) => [0, 40].includes(own.reduce((a, b) => a + b, 0))).length;
  const [chance, half, always] = [0, 0.5, 1].map(missed);
  expect(Math.abs(share(chance) - 0.2)).toBeLessThan(0.02);
  // 200 readers decide: two deviations are 0.06.
  expect(Math.abs(share(always) - 0.2)).toBeLessThan(0.07);
  expect(spread(always)).toBe(200);
  expect(spread(half)).toBeLessThan(60);
  expect(spread(chance)).toBeLessThan(5);
});

test('reports read as reports: varied, whole sentences, and nothing of the machine', () => {
  const reports = [...seeClinic({ ...SMALL, images: 1500, dictation: 0 })].map(({ report }) => report);
  expect(new Set(reports).size).toBeGreaterThan(1450);
  for (const report of reports) {
    expect(report).not.toMatch(/[{}]|undefined|NaN|null|phantom|evidence\d|posterior|reader|\bseed\b|0\.\d/i);
    expect(report).not.toMatch(/ {2}|\.\.| \.|,\./);
    expect(report).toMatch(/\.$/);
    // What a plural is said of.
    expect(report).not.toMatch(/effusions is|fractures is|nodules is|opacities is|a bilateral/);
  }
  for (const wordings of WORDINGS) expect(wordings.length).toBeGreaterThanOrEqual(8);
  expect(new Set(WORDINGS.flat()).size).toBeGreaterThan(75);
});

test('dictation errors come as often as asked, and never eat a denial', () => {
  const clean = [...seeClinic({ ...SMALL, images: 200, dictation: 0 })];
  const slips = [...seeClinic({ ...SMALL, images: 200, dictation: 1 })];
  const changed = clean.filter(({ report }, i) => report !== slips[i].report).length / 200;
  // 1 − e⁻¹ = 0.63, less the errors that found nothing to swap.
  expect(changed).toBeGreaterThan(0.45);
  expect(changed).toBeLessThan(0.75);
  const denials = (cases: Case[]) =>
    cases.reduce((sum, { report }) => sum + report.split(/\b[Nn]o\b/).length, 0);
  expect(denials(slips)).toBe(denials(clean));
});

test('patients keep their split and their places; dials outside their range are named', () => {
  const cases = [...seeClinic({ ...SMALL, images: 400 })];
  expect(cases.some(({ visit }) => visit > 0)).toBe(true);
  const shares = cases.map(({ patient }) => splitOf(patient, { seed: 4 }));
  for (const split of ['train', 'val', 'test']) expect(shares).toContain(split);
  expect(() => dialsOf({ habit: 2 })).toThrow(/habit must be a number from 0 to 1, not 2/);
  expect(() => dialsOf({ images: 1.5 })).toThrow(/images must be an integer/);
  expect(() => dialsOf({ silence: Number.NaN })).toThrow(/silence/);
});
