import { PenumbraError } from '../../errors.ts';

/** The dials of the clinic. `docs/chest-clinic.md` says what each moves in the equations. */
export interface ClinicOptions {
  /** N studies, one frontal radiograph each. 1 to 10,000,000. Default: 8000. */
  readonly images?: number;
  /** Side of the square pictures in pixels, 32 to 512. Default: 64. */
  readonly size?: number;
  /** Study i is a function of (seed, i) and the dials. Default: 0. */
  readonly seed?: number;
  /** Multiplies every finding's odds. 0.05 to 10. Default: 1. */
  readonly prevalence?: number;
  /** Multiplies every finding's distance d on the evidence scale, of picture and reader. 0.1 to 4. Default: 1. */
  readonly conspicuity?: number;
  /** π_a: how often an artefact makes a finding look present, to picture and reader alike. 0 to 0.5. Default: 0.03. */
  readonly artefacts?: number;
  /** ρ: correlation of the reader's noise with the picture's. 0 to 1. Default: 0.6. */
  readonly correlation?: number;
  /** Multiplies every reader's skill. 0.1 to 4. Default: 1. */
  readonly skill?: number;
  /** How many radiologists read. 1 to 32. Default: 6. */
  readonly readers?: number;
  /** How many of them read each study, each with a report of their own. 1 to 32, not more than there are. Default: 1. */
  readonly reads?: number;
  /** Share of the statements that are hedged out of habit, whatever the reader thinks. 0 to 1. Default: 0.08. */
  readonly habit?: number;
  /** Share of what could be said that is not. 0 to 1. Default: 0.2. */
  readonly silence?: number;
  /** Errors of dictation per report, on average. 0 to 20. Default: 0.05. */
  readonly dictation?: number;
  /** How often the plain labeler loses a statement that a finding is present. 0 to 0.5. Default: 0.05. */
  readonly misses?: number;
  /** How often the plain labeler hears a denial as presence. 0 to 0.5. Default: 0.02. */
  readonly falseAlarms?: number;
  /** How often the plain labeler takes a hedge for a plain statement. 0 to 1. Default: 0.3. */
  readonly deafness?: number;
  /** Share of the plain labeler's errors that fall on the same finding, certainty and reader again and again. 0 to 1. Default: 0. */
  readonly systematic?: number;
}

export type Dials = Required<ClinicOptions>;

/** Default, least, most, whole. The one table of dials: checks, files and the command line go by it. */
export const DIALS: Readonly<Record<keyof ClinicOptions, readonly [number, number, number, boolean]>> = {
  images: [8000, 1, 10_000_000, true],
  size: [64, 32, 512, true],
  seed: [0, 0, Number.MAX_SAFE_INTEGER, true],
  prevalence: [1, 0.05, 10, false],
  conspicuity: [1, 0.1, 4, false],
  artefacts: [0.03, 0, 0.5, false],
  correlation: [0.6, 0, 1, false],
  skill: [1, 0.1, 4, false],
  readers: [6, 1, 32, true],
  reads: [1, 1, 32, true],
  habit: [0.08, 0, 1, false],
  silence: [0.2, 0, 1, false],
  dictation: [0.05, 0, 20, false],
  misses: [0.05, 0, 0.5, false],
  falseAlarms: [0.02, 0, 0.5, false],
  deafness: [0.3, 0, 1, false],
  systematic: [0, 0, 1, false],
};

/** @throws {PenumbraError} `phantom/option` for a dial outside its range. */
export function dialsOf(options: ClinicOptions): Dials {
  const entries = (Object.keys(DIALS) as (keyof ClinicOptions)[]).map((name) => {
    const [otherwise, least, most, whole] = DIALS[name];
    const value = options[name] ?? otherwise;
    if (!(value >= least && value <= most) || (whole && !Number.isInteger(value))) {
      throw new PenumbraError(
        'phantom/option',
        `${name} must be ${whole ? 'an integer' : 'a number'} from ${least} to ${most}, not ${value}`,
        { where: { argument: name }, hint: `leave it out for ${otherwise}` },
      );
    }
    return [name, value] as const;
  });
  const dials = Object.fromEntries(entries) as unknown as Dials;
  if (dials.reads > dials.readers) {
    throw new PenumbraError(
      'phantom/option',
      `reads is ${dials.reads}, and there are ${dials.readers} readers`,
      {
        where: { argument: 'reads' },
        hint: `ask for ${dials.reads} readers or more`,
      },
    );
  }
  return dials;
}

/** Names of the random streams under a seed: what one dial moves does not move another's stream. */
export const STREAM = {
  patient: 31,
  study: 32,
  picture: 33,
  reader: 34,
  place: 35,
  anatomy: 36,
  pose: 37,
  noise: 38,
  staff: 39,
  words: 40,
  dictation: 41,
  labeler: 42,
  split: 43,
  habits: 44,
} as const;
