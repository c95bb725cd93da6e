import { z } from 'zod';
import { PenumbraError } from '../errors.ts';
import { nearest } from '../nearest.ts';

/** Every setting of a rate generation network with its default and the reason for it. */
const schema = z.strictObject({
  seed: z.int().min(0).default(0),
  epochs: z.int().min(1).default(14),
  batchSize: z.int().min(1).max(4096).default(32),
  /** AdamW's: for batches of 32. Behind a trained encoder 0.001. */
  learningRate: z.number().positive().default(0.003),
  /** That of a trained encoder, which must not lose what it knows; 0 leaves it as it is. Null without one, else 3e-5. */
  encoderLearningRate: z.number().min(0).nullable().default(null),
  /** More than AdamW's usual 0.01: unknown wording is read better, known hardly worse. */
  weightDecay: z.number().min(0).default(0.2),
  /** Epochs of linear warm-up; then half a cosine to nothing. */
  warmUp: z.number().min(0).default(0.5),
  /** Numbers a piece, and heads: small, so that one core reads hundreds of reports a second. */
  width: z.int().min(8).max(2048).default(64),
  heads: z.int().min(1).default(4),
  depth: z.int().min(1).max(24).default(2),
  dropout: z.number().min(0).lt(1).default(0.1),
  /** Most pieces of the tokenizer. */
  vocabulary: z.int().min(64).max(60_000).default(4096),
  /** Share of the words that fall into pieces in training (BPE-dropout): so unknown words have a meaning. */
  pieceDropout: z.number().min(0).max(1).default(0.1),
  /** Share of the words that are hidden in training: no single word decides, and what is around a hedge counts too. */
  wordDropout: z.number().min(0).lt(1).default(0.05),
  /** Share of the reports in which one finding's words are exchanged for another's, with what was said of it. */
  findingSwap: z.number().min(0).max(1).default(0.3),
  /** Sentences of the lexicon beside the reports of every step: wording that the corpus need not have. 0: none. */
  lexiconSentences: z.int().min(0).max(4096).default(48),
  /** Weight of the ranking of phrases, where there is one, beside the rows. */
  rankingWeight: z.number().min(0).default(0.3),
  device: z.string().default('auto'),
  /** So small a network takes a third less processor time a step in float32 than in bfloat16 (AVX512-BF16). */
  precision: z.enum(['auto', 'float32', 'bfloat16', 'float16']).default('float32'),
  threads: z.int().min(1).max(1024).nullable().default(null),
  /** A checkpoint every so many seconds inside an epoch, besides the one at its end. */
  checkpointSeconds: z.number().min(0).default(300),
});

/** Every setting, complete. */
export type RateConfig = z.output<typeof schema>;
/** Settings that differ from the defaults. */
export type RateOptions = z.input<typeof schema>;

/** What a trained encoder says itself. */
const OF_ENCODER = ['width', 'depth', 'heads', 'vocabulary'] as const;
export type EncoderSettings = Readonly<Record<(typeof OF_ENCODER)[number], number>>;

/**
 * Fills in defaults and checks every value.
 * @param encoder of a trained encoder, where the network begins with one
 * @throws `rates/config` naming the setting
 */
export function resolveRateConfig(options: RateOptions, encoder?: EncoderSettings): RateConfig {
  const refuse = (setting: string, message: string, hint: string) =>
    new PenumbraError('rates/config', message, { hint, where: { setting } });
  if (encoder === undefined) {
    if (options.encoderLearningRate != null)
      throw refuse(
        'encoderLearningRate',
        'there is no trained encoder to learn slowly',
        'name one: --encoder FOLDER',
      );
    return checked(options);
  }
  const given = OF_ENCODER.find((name) => options[name] !== undefined);
  if (given !== undefined)
    throw refuse(given, `the encoder has its own ${given}: ${encoder[given]}`, 'leave it out');
  const { width, depth, heads, vocabulary } = encoder;
  const config = checked({ learningRate: 0.001, encoderLearningRate: 3e-5, ...options });
  return { ...config, width, depth, heads, vocabulary };
}

function checked(options: RateOptions): RateConfig {
  const result = schema.safeParse(options);
  if (!result.success) {
    const issue = result.error.issues[0]!;
    if (issue.code === 'unrecognized_keys') {
      const key = issue.keys[0]!;
      throw new PenumbraError('rates/config', `there is no setting '${key}'`, {
        hint: `did you mean '${nearest(key, Object.keys(schema.shape))}'?`,
        where: { setting: key },
      });
    }
    const setting = issue.path.join('.');
    throw new PenumbraError('rates/config', `${setting}: ${issue.message}`, { where: { setting } });
  }
  const { width, heads } = result.data;
  if (width % heads !== 0) {
    throw new PenumbraError('rates/config', `a width of ${width} does not divide into ${heads} heads`, {
      hint: 'make the width a multiple of the heads',
      where: { setting: 'width' },
    });
  }
  return result.data;
}
