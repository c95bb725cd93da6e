import { z } from 'zod';
import { PenumbraError } from '../errors.ts';
import { modelNames } from '../models/index.ts';
import { nearest } from '../nearest.ts';
import { formatObjective, parseObjective } from '../objectives/index.ts';
import { optimizerNames } from './optimizer-names.ts';

const normalization = z.union([
  z.literal('symmetric'),
  z.strictObject({ mean: z.array(z.number()).min(1), std: z.array(z.number().positive()).min(1) }),
]);

const percent = z.number().min(0).max(100);
const window = z.union([
  z.literal('auto'),
  z
    .strictObject({ low: z.number().min(0), high: z.number().positive() })
    .refine(({ low, high }) => low < high, 'low must be less than high'),
  z
    .strictObject({ percentile: z.tuple([percent, percent]), per: z.literal('set').optional() })
    .refine(({ percentile: [low, high] }) => low < high, 'the first percentile must be less than the second'),
]);

/** Every setting of a training run with its default and the reason for it. */
const schema = z.strictObject({
  model: z.string().default('resnet18'),
  /** `auto`: small for images of at most 32 pixels, where the standard stem would leave one pixel. */
  stem: z.enum(['auto', 'standard', 'small']).default('auto'),
  objective: z.string().default('ols'),
  epochs: z.int().min(1).default(20),
  /** From 2: batch norm needs a variance. */
  batchSize: z.int().min(2).default(64),
  seed: z.int().min(0).default(0),
  optimizer: z.enum(optimizerNames).default('sgd'),
  /** For batches of 64 with SGD and Nesterov momentum; Adam and AdamW want about 0.001, Lion 0.0002. */
  learningRate: z.number().positive().default(0.02),
  momentum: z.number().min(0).max(1).default(0.9),
  nesterov: z.boolean().default(true),
  weightDecay: z.number().min(0).default(1e-4),
  /** Cosine needs no milestones to be chosen. */
  schedule: z.enum(['constant', 'cosine', 'multi-step']).default('cosine'),
  milestones: z.array(z.number().positive()).default([]),
  /** Epochs of linear warm-up: a large rate on fresh batch norms can diverge. */
  warmUp: z.number().min(0).default(1),
  /** Side of the network input; null is 224 for files and the stored size otherwise. */
  size: z.int().min(8).max(4096).nullable().default(null),
  channels: z
    .union([z.literal(1), z.literal(3)])
    .nullable()
    .default(null),
  normalization: normalization.default('symmetric'),
  /**
   * Which values of an image become black and white; null is all that its file's depth can hold. `auto`, and percentiles of
   * the set, become numbers from the training images before the run begins.
   */
  window: window.nullable().default(null),
  flip: z.boolean().default(true),
  /** Black pixels around the image before the random crop; null is an eighth of the size. */
  cropPadding: z.int().min(0).nullable().default(null),
  workers: z.int().min(0).max(64).nullable().default(null),
  device: z.string().default('auto'),
  precision: z.enum(['auto', 'float32', 'bfloat16']).default('auto'),
  /** null is LibTorch's own choice: the number of cores. */
  threads: z.int().min(1).max(1024).nullable().default(null),
  /** A checkpoint every so many seconds inside an epoch, besides the one at its end. */
  checkpointSeconds: z.number().min(0).default(300),
  /** A checkpoint every so many steps; 0 leaves it to time. */
  checkpointSteps: z.int().min(0).default(0),
  /** Whether a finished run keeps the states that nothing goes on from any more. */
  keepCheckpoints: z.boolean().default(false),
  /** Epochs between evaluations on the validation split; the last epoch always is one. */
  evaluateEvery: z.int().min(1).default(1),
  /**
   * Mixup (Zhang et al., ICLR 2018): each batch is mixed with a shuffled copy of itself, with a share drawn from
   * Beta(mixup, mixup). 0 is off; 0.2 is usual.
   */
  mixup: z.number().min(0).default(0),
  /** Decay of the exponential moving average of the weights that is evaluated and saved in their place; 0 is off. */
  ema: z.number().min(0).lt(1).default(0),
  /**
   * Batches whose gradients are added up for one step of the optimizer. The sum is that of one large batch, except that
   * batch norm sees each batch by itself.
   */
  accumulate: z.int().min(1).max(65_536).default(1),
  /**
   * `balanced` draws as many samples an epoch as there are, with replacement, such that every class is as likely as
   * every other, `sqrt` by the square root of how many it has, which is between the two; of findings, a sample counts as
   * the rarest finding that it has, and one without any as their absence.
   */
  sampling: z.enum(['uniform', 'balanced', 'sqrt']).default('uniform'),
  /**
   * What each class counts in the loss, or the presence of each finding: `balanced`, or weights by name; null is alike.
   */
  classWeights: z
    .union([z.literal('balanced'), z.record(z.string(), z.number().positive())])
    .nullable()
    .default(null),
  /** Safetensors with initial weights; a head of another size starts fresh. */
  weights: z.string().nullable().default(null),
  /** Whether those weights must fit in every tensor, the head's too. */
  strictWeights: z.boolean().default(false),
  /**
   * For objectives with a teacher: the run folder, or the safetensors, of a trained copy of the same network. null
   * trains one first, with hard labels and the same settings, in the run's folder.
   */
  teacher: z.string().nullable().default(null),
});

/** Every setting of a training run, complete. */
export type TrainConfig = z.output<typeof schema>;
/** Settings that differ from the defaults. */
export type TrainOptions = z.input<typeof schema>;

export const settingNames: readonly string[] = Object.keys(schema.shape);

/** `epochs must be at least 1, and is 0`. */
function inWords(issue: z.core.$ZodIssue, options: object): string {
  const name = issue.path.join('.');
  const given = issue.path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key],
    options,
  );
  const is = given === undefined ? 'is missing' : `is ${JSON.stringify(given)}`;
  switch (issue.code) {
    case 'too_small':
      return `${name} must be ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}, and ${is}`;
    case 'too_big':
      return `${name} must be ${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}, and ${is}`;
    case 'invalid_type': {
      const kinds: Record<string, string> = {
        int: 'a whole number',
        number: 'a number',
        boolean: 'true or false',
      };
      return `${name} must be ${kinds[issue.expected] ?? `of type ${issue.expected}`}, and ${is}`;
    }
    case 'invalid_value':
      return `${name} must be one of ${issue.values.map(String).join(', ')}, and ${is}`;
    case 'invalid_union':
      return `${name} cannot be ${JSON.stringify(given)}`;
    default:
      return `setting '${name}': ${issue.message}`;
  }
}

/**
 * Fills in defaults and checks every value.
 * @throws `training/config` naming the setting, what was expected, and for a misspelt name the nearest one
 */
export function resolveConfig(options: TrainOptions): TrainConfig {
  const result = schema.safeParse(options);
  if (!result.success) {
    const issue = result.error.issues[0]!;
    if (issue.code === 'unrecognized_keys') {
      const key = issue.keys[0]!;
      throw new PenumbraError('training/config', `there is no setting '${key}'`, {
        hint: `did you mean '${nearest(key, settingNames)}'?`,
        where: { setting: key },
      });
    }
    throw new PenumbraError('training/config', inWords(issue, options), {
      where: { setting: issue.path.join('.') },
    });
  }
  const config = { ...result.data, objective: formatObjective(parseObjective(result.data.objective)) };
  if (!modelNames().includes(config.model)) {
    throw new PenumbraError('training/config', `there is no model '${config.model}'`, {
      hint: `one of: ${modelNames().join(', ')}, or a file of your own: ./mine.ts`,
      where: { setting: 'model' },
    });
  }
  if (config.schedule === 'multi-step' && config.milestones.length === 0) {
    throw new PenumbraError('training/config', 'the multi-step schedule needs milestones', {
      hint: 'for example milestones [10, 15]: the learning rate is divided by ten after epochs 10 and 15',
      where: { setting: 'milestones' },
    });
  }
  return config;
}
