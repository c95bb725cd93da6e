import { z } from 'zod';
import { PenumbraError } from '../errors.ts';
import { inWords, valueAt } from '../in-words.ts';
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

/** Every setting of a training run with its default. Each one's text is its documentation, also in the schema of study files. */
const schema = z.strictObject({
  model: z.string().default('resnet18').describe('The network.'),
  stem: z
    .enum(['auto', 'standard', 'small'])
    .default('auto')
    .describe(
      'First layers. auto: small for images of at most 32 pixels, where the standard stem would leave one pixel.',
    ),
  findingTokens: z
    .boolean()
    .nullable()
    .default(null)
    .describe(
      "Whether every finding has a token of its own; null is as the network's definition says: on for lu_vit.",
    ),
  doubtWeight: z
    .number()
    .min(0)
    .nullable()
    .default(null)
    .describe(
      "What predicting the doubt that a report expresses counts in the loss, beside the objective; 0 is no such head. null is as the network's definition says where the data express doubt: 0.5 for lu_vit, else 0.",
    ),
  objective: z.string().default('ols').describe('The objective, with its options after a colon.'),
  epochs: z.int().min(1).default(20).describe('Passes over the training split.'),
  batchSize: z
    .int()
    .min(2)
    .default(64)
    .describe('Images a step. At least 2, as batch norm needs a variance.'),
  seed: z.int().min(0).default(0).describe('Of everything that is drawn.'),
  optimizer: z.enum(optimizerNames).default('sgd').describe('What steps along the gradients.'),
  learningRate: z
    .number()
    .positive()
    .default(0.02)
    .describe('The peak. For batches of 64 with SGD; Adam and AdamW want about 0.001, Lion 0.0002.'),
  momentum: z.number().min(0).max(1).default(0.9).describe('Of SGD.'),
  nesterov: z.boolean().default(true).describe("Whether SGD's momentum looks ahead."),
  weightDecay: z.number().min(0).default(1e-4).describe('L2 penalty; of AdamW and Lion decoupled.'),
  schedule: z
    .enum(['constant', 'cosine', 'multi-step'])
    .default('cosine')
    .describe('How the learning rate falls. cosine needs no milestones to be chosen.'),
  milestones: z
    .array(z.number().positive())
    .default([])
    .describe('Epochs after which the multi-step schedule divides the learning rate by ten.'),
  warmUp: z
    .number()
    .min(0)
    .default(1)
    .describe('Epochs of linear warm-up: a large rate on fresh batch norms can diverge.'),
  size: z
    .int()
    .min(8)
    .max(4096)
    .nullable()
    .default(null)
    .describe('Side of the network input; null is 224 for files and the stored size otherwise.'),
  channels: z
    .union([z.literal(1), z.literal(3)])
    .nullable()
    .default(null)
    .describe('1 or 3; null is as the images have.'),
  normalization: normalization
    .default('symmetric')
    .describe(
      'symmetric: pixels to [−1, 1]; or the mean and standard deviation of each channel, of pixels in [0, 1].',
    ),
  window: window
    .nullable()
    .default(null)
    .describe(
      "Which stored values become black and white; null is all that a file's depth can hold. auto, and percentiles of the set, become numbers from the training images before the run begins.",
    ),
  flip: z.boolean().default(true).describe('Whether images are mirrored at random.'),
  cropPadding: z
    .int()
    .min(0)
    .nullable()
    .default(null)
    .describe('Black pixels around the image before the random crop; null is an eighth of the size.'),
  workers: z
    .int()
    .min(0)
    .max(64)
    .nullable()
    .default(null)
    .describe('Decoding threads; null is as many as help.'),
  device: z.string().default('auto').describe('auto, cpu, cuda:0 …'),
  precision: z
    .enum(['auto', 'float32', 'bfloat16', 'float16'])
    .default('auto')
    .describe(
      'auto: bfloat16 where the processor or the GPU computes it fast, and float16 with a scaled loss on GPUs that have only that.',
    ),
  tf32: z
    .boolean()
    .default(false)
    .describe('GPUs: products and convolutions of float32 in TF32, which has 10 bits of mantissa.'),
  cudnnBenchmark: z
    .boolean()
    .default(false)
    .describe(
      'GPUs: cuDNN tries its algorithms for every new shape. Faster; a run is then not bit for bit repeatable.',
    ),
  fused: z
    .enum(['auto', 'off'])
    .default('auto')
    .describe(
      'Whether batch norm, the addition and the ReLU behind it are computed in one pass. auto: where the processor has the kernels; they agree with the separate operators to rounding.',
    ),
  syncBatchNorm: z
    .boolean()
    .default(false)
    .describe(
      'Whether batch norm takes the batches of all processes as one, where several train together; for batches of few images a process.',
    ),
  threads: z
    .union([z.int().min(1).max(1024), z.literal('auto')])
    .nullable()
    .default(null)
    .describe(
      "Threads of the engine; null is LibTorch's own choice: the number of cores. auto becomes the number with which a few timed steps are fastest, before the run begins: fewer than there are cores where other programs are at work, or the network is small.",
    ),
  checkpointSeconds: z
    .number()
    .min(0)
    .default(300)
    .describe('A checkpoint every so many seconds inside an epoch, besides the one at its end.'),
  checkpointSteps: z
    .int()
    .min(0)
    .default(0)
    .describe('A checkpoint every so many steps; 0 leaves it to time.'),
  keepCheckpoints: z
    .boolean()
    .default(false)
    .describe('Whether a finished run keeps the states that nothing goes on from any more.'),
  evaluateEvery: z
    .int()
    .min(1)
    .default(1)
    .describe('Epochs between evaluations on the validation split; the last epoch always is one.'),
  mixup: z
    .number()
    .min(0)
    .default(0)
    .describe(
      'Mixup (Zhang et al., ICLR 2018): each batch is mixed with a shuffled copy of itself, with a share drawn from Beta(mixup, mixup). 0 is off; 0.2 is usual.',
    ),
  ema: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe(
      'Decay of the exponential moving average of the weights that is evaluated and saved in their place; 0 is off.',
    ),
  accumulate: z
    .int()
    .min(1)
    .max(65_536)
    .default(1)
    .describe(
      'Batches whose gradients are added up for one step of the optimizer. The sum is that of one large batch, except that batch norm sees each batch by itself.',
    ),
  sampling: z
    .enum(['uniform', 'balanced', 'sqrt'])
    .default('uniform')
    .describe(
      'balanced draws as many samples an epoch as there are, with replacement, such that every class is as likely as every other; sqrt by the square root of how many it has, which is between the two; of findings, a sample counts as the rarest finding that it has, and one without any as their absence.',
    ),
  classWeights: z
    .union([z.literal('balanced'), z.record(z.string(), z.number().positive())])
    .nullable()
    .default(null)
    .describe(
      'What each class counts in the loss, or the presence of each finding: balanced, or weights by name; null is alike.',
    ),
  weights: z
    .string()
    .nullable()
    .default(null)
    .describe('Safetensors with initial weights; a head of another size starts fresh.'),
  strictWeights: z
    .boolean()
    .default(false)
    .describe("Whether those weights must fit in every tensor, the head's too."),
  teacher: z
    .string()
    .nullable()
    .default(null)
    .describe(
      "For objectives with a teacher: the run folder, or the safetensors, of a trained copy of the same network. null trains one first, with hard labels and the same settings, in the run's folder.",
    ),
});

/** Every setting of a training run, complete. */
export type TrainConfig = z.output<typeof schema>;
/** Settings that differ from the defaults. */
export type TrainOptions = z.input<typeof schema>;

export const settingNames: readonly string[] = Object.keys(schema.shape);

/** What each setting may be, its default being words alone: for files that give some of them. */
export const settingSchemas: Readonly<Record<string, z.ZodType>> = Object.fromEntries(
  Object.entries(schema.shape).map(([name, setting]: [string, z.ZodDefault<z.ZodType>]) => [
    name,
    setting.unwrap().meta({ description: setting.description, default: setting.def.defaultValue }),
  ]),
);

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
    const setting = issue.path.join('.');
    const words = inWords(issue, valueAt(options, issue.path));
    const message = words === undefined ? `setting '${setting}': ${issue.message}` : `${setting} ${words}`;
    throw new PenumbraError('training/config', message, { where: { setting } });
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
