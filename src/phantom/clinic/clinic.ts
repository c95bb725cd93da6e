import { Random } from '../../random.ts';
import { misdictate } from './dictation.ts';
import { evidenceOf, nth, Posterior } from './evidence.ts';
import { CLINIC_FINDINGS, LATENT } from './findings.ts';
import { plainLabels } from './labeler.ts';
import { type ClinicOptions, type Dials, dialsOf, STREAM } from './options.ts';
import { studiesOf } from './patients.ts';
import { type Place, placesOf } from './places.ts';
import { type Drawn, Radiographs } from './radiograph.ts';
import { type Reader, sayingsOf, staffOf } from './readers.ts';
import { writeReport } from './report.ts';

/** All that is known of one study. K + 1 values are No Finding and then the findings (`CLINIC_NAMES`). */
export interface Case {
  readonly index: number;
  readonly patient: number;
  readonly visit: number;
  /** Number of the reader. */
  readonly reader: number;
  /** size² grey values. */
  readonly pixels: Uint8Array;
  /** K + 1 of 0 or 1: the truth. */
  readonly findings: Uint8Array;
  /** K + 1: P(finding | the reader's evidence), and P(finding | the picture's). */
  readonly readerPosterior: Float32Array;
  readonly picturePosterior: Float32Array;
  /** K of 0 or 1: where an artefact made the finding look more present. */
  readonly artefacts: Uint8Array;
  /** K certainties of what was said, `SILENT` where nothing was. */
  readonly said: Int8Array;
  readonly report: string;
  /** Of the other readers, where several read a study. */
  readonly others: readonly Reading[];
  /** K + 1 labels of the plain labeler. */
  readonly plain: Int8Array;
  /** What was drawn where, of findings that are present and of what only looks like them. */
  readonly drawn: readonly Drawn[];
}

/** What one reader believed and said. */
export interface Reading {
  readonly reader: number;
  /** K + 1: P(finding | the reader's evidence). */
  readonly readerPosterior: Float32Array;
  /** K certainties. */
  readonly said: Int8Array;
  readonly report: string;
}

/** Which of the studies to see: every `parts`-th patient from number `part`. Default: all. */
export interface Part {
  readonly part: number;
  readonly parts: number;
}

/**
 * The chest clinic: virtual patients, radiographs, readers, reports, of which everything is known. Each study is a function
 * of the seed, its number and the dials.
 *
 * @throws {PenumbraError} `phantom/option` for a dial outside its range.
 */
export function* seeClinic(
  options: ClinicOptions = {},
  { part, parts }: Part = { part: 0, parts: 1 },
): Generator<Case> {
  const dials = dialsOf(options);
  const staff = staffOf(dials);
  const posterior = new Posterior(dials);
  const radiographs = new Radiographs(dials);
  let places: Place[] = [];
  let before: { said: Int8Array; evidence: Float64Array } | undefined;
  for (const study of studiesOf(dials)) {
    const { index, patient, visit, present } = study;
    if (patient % parts !== part) continue;
    if (visit === 0) {
      places = placesOf(patient, dials);
      before = undefined;
    }
    const stream = (name: number) => new Random(dials.seed, name, patient, visit);
    const duty = stream(STREAM.staff);
    const onDuty = [...staff];
    const own = onDuty.splice(duty.below(staff.length), 1)[0];
    const evidence = evidenceOf(study, own.skill, dials);
    const picturePosterior = new Float32Array(LATENT + 1);
    posterior.of(evidence.picture, 1, picturePosterior);
    const pixels = new Uint8Array(dials.size * dials.size);
    const drawn = radiographs.draw(study, places, evidence.picture, pixels);
    const read = (reader: Reader, seen: Float64Array, reading: number): Reading => {
      const readerPosterior = new Float32Array(LATENT + 1);
      posterior.of(seen, reader.skill, readerPosterior);
      const words = new Random(dials.seed, STREAM.words, patient, visit, ...nth(reading));
      const said = sayingsOf(readerPosterior, reader, words);
      const text = writeReport({ reader, said, evidence: seen, places, before }, words);
      const slips = new Random(dials.seed, STREAM.dictation, patient, visit, ...nth(reading));
      return {
        reader: reader.number,
        readerPosterior,
        said,
        report: misdictate(text, dials.dictation, slips),
      };
    };
    const first = read(own, evidence.reader, 0);
    const others = Array.from({ length: dials.reads - 1 }, (_, i) => {
      const reader = onDuty.splice(duty.below(onDuty.length), 1)[0];
      return read(reader, evidenceOf(study, reader.skill, dials, i + 1).reader, i + 1);
    });
    const plain = new Int8Array(LATENT + 1);
    plainLabels(first.said, own.number, dials, stream(STREAM.labeler), plain);
    yield {
      index,
      patient,
      visit,
      pixels,
      findings: Uint8Array.from([none(present), ...present]),
      picturePosterior,
      artefacts: evidence.artefact,
      ...first,
      others,
      plain,
      drawn,
    };
    before = { said: first.said, evidence: evidence.reader };
  }
}

function none(present: Uint8Array): number {
  return present.some((y, k) => y === 1 && CLINIC_FINDINGS[k].pathology) ? 0 : 1;
}

/** The patient's split: a function of the seed and the patient alone, so that all their studies fall together. */
export function splitOf(
  patient: number,
  { seed }: Pick<Dials, 'seed'>,
  val = 0.1,
  test = 0.2,
): 'train' | 'val' | 'test' {
  const at = new Random(seed, STREAM.split, patient).uniform();
  return at < test ? 'test' : at < test + val ? 'val' : 'train';
}
