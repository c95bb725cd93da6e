import { z } from 'zod';
import { PHANTOM_KINDS, type PhantomKind } from '../data/index.ts';
import { partList } from '../judgement/index.ts';
import { modelNames } from '../models/index.ts';
import { objectiveDefinitions, objectiveNames } from '../objectives/index.ts';
import { settingNames, settingSchemas } from '../training/index.ts';

/** What the study sets itself, so that no `settings` may name it. */
const OWN_SETTINGS = ['model', 'objective', 'seed', 'mixup', 'teacher'];

/** Settings that a study file may give: those of `penumbra train` but for what the study's own keys say. */
export const studySettingNames: readonly string[] = settingNames.filter(
  (name) => !OWN_SETTINGS.includes(name),
);

const name = (what: string) =>
  z
    .string()
    .regex(/^[\w.-]+$/, `${what} names a folder: letters, digits, _, . and - only`)
    .regex(/[^.]/, `${what} must not be made of dots alone`);

const settings = z
  .strictObject(Object.fromEntries(studySettingNames.map((key) => [key, settingSchemas[key]!.optional()])))
  .meta({ id: 'settings', examples: [{ epochs: 20, learningRate: 0.02, size: 224 }] });

/** Editors complete the names that come with the package, and accept those of `--code`. */
const ownToo = (names: readonly string[], pattern: string) => ({
  anyOf: [{ enum: [...names] }, { type: 'string', pattern }],
});
const OBJECTIVE = '^[\\w.-]+(:\\s*[\\w-]+\\s*=[^,=]+(,\\s*[\\w-]+\\s*=[^,=]+)*)?$';
const objective = () => z.string().meta(ownToo(objectiveNames(), OBJECTIVE));
const classMap = z.record(z.string(), z.string().nullable());
const splitName = z.enum(['train', 'val', 'test']);
const share = z.number().min(0).lt(1);

const sites = z
  .strictObject({
    train: z
      .array(z.string())
      .min(1)
      .optional()
      .describe('Sites that train, validate and judge in-centre. Default: those that do not test.'),
    test: z
      .array(z.string())
      .min(1)
      .optional()
      .describe('Sites that are judged out of centre, each by itself. Default: those that do not train.'),
  })
  .describe('Sites (centres) of the data set by name, as its column or `site` expression gives them.')
  .meta({ examples: [{ train: ['A', 'B'], test: ['C'] }] });

const set = z
  .strictObject({
    path: z
      .string()
      .min(1)
      .describe(
        'Folder or file, relative to the study file, or the word phantom. `--data <set>=<path>` overrides it.',
      ),
    splits: z
      .partialRecord(splitName, z.string())
      .optional()
      .describe('Which named part of the data serves as which split, as { "test": "val" }.'),
    fractions: z
      .strictObject({ val: share.optional(), test: share.optional() })
      .optional()
      .describe('Shares for the splits that the data do not name.'),
    seed: z.int().min(0).optional().describe('Of the split by fractions. Default: 0.'),
    group: z.string().optional().describe('Expression on file names whose match is the patient.'),
    site: z.string().optional().describe('Expression on file paths whose match is the site.'),
    root: z
      .string()
      .optional()
      .describe("Folder that a table's paths are relative to, relative to the study file."),
    columns: z
      .strictObject({
        file: z.string().optional(),
        label: z.string().optional(),
        split: z.string().optional(),
        group: z.string().optional(),
        site: z.string().optional(),
      })
      .optional()
      .describe("Names of a table's columns, where they are not the usual ones."),
    classes: z.array(z.string()).min(2).optional().describe('Class names in order, as the data name them.'),
    kind: z
      .enum(['one-of-k', 'findings'])
      .optional()
      .describe('What labels are, where it could be both. Default: findings where a label is a|b.'),
    views: z
      .array(z.string())
      .min(1)
      .optional()
      .describe('Only images of these views: frontal, lateral, or as the table has them.'),
    findings: z
      .strictObject({
        uncertain: z
          .union([
            z.enum(['ignore', 'zeros', 'ones']),
            z.number().min(0).max(1),
            z.strictObject({ rate: z.number().gt(-1).lt(1) }),
          ])
          .optional()
          .describe('What −1 becomes; a rate is y = 1, smoothed by it. Default: ignore.'),
        blank: z.enum(['ignore', 'zeros']).optional().describe('What a blank becomes. Default: ignore.'),
        values: z
          .enum(['labels', 'probabilities'])
          .optional()
          .describe('Of a table with both: labels with their rates, or probabilities. Default: labels.'),
        errors: z
          .record(
            z.string(),
            z.strictObject({
              falsePositive: z.number().min(0).lt(0.5),
              miss: z.number().min(0).lt(0.5),
              hedged: z.number().min(0).lt(0.5),
            }),
          )
          .optional()
          .describe(
            'How often labels are wrong, by finding, for objectives that correct for it. Default: what the data say.',
          ),
      })
      .optional()
      .describe('What values of findings become that are neither 0 nor 1.')
      .meta({ examples: [{ uncertain: 'ones', blank: 'zeros' }] }),
    skipMissing: z.boolean().optional().describe('Leave rows out whose files are not there.'),
    skipDuplicates: z
      .boolean()
      .optional()
      .describe('Keep one of images with the same content, or listed twice; looks at all of them.'),
    allowOutside: z.boolean().optional().describe("Also read files outside the data's folder."),
    classMap: classMap
      .optional()
      .describe(
        'Every class of the data to a class of the study, or to null, which leaves its samples out. Several may become one.',
      ),
    sites: sites.optional(),
    judgeBy: z
      .string()
      .min(1)
      .optional()
      .describe(
        'A data set of the same images whose labels judge the test split, where those trained on are not the truth; relative to the study file.',
      ),
    phantom: z
      .strictObject({
        kind: z
          .enum(PHANTOM_KINDS as [PhantomKind, ...PhantomKind[]])
          .optional()
          .describe('Knees with five grades (the default), or an atlas of 165 classes.'),
        images: z.int().min(1).optional(),
        size: z.int().min(32).max(512).optional(),
        seed: z.int().min(0).optional(),
        readerNoise: z.number().positive().optional(),
      })
      .optional()
      .describe('What to draw, where the path is phantom.'),
  })
  .describe('A data set to train on.')
  .meta({ id: 'set', examples: [{ path: 'data/knee', group: '^.{7}' }] });

const methodObject = z
  .strictObject({
    objective: objective().describe(
      'Its name. Options stand in `options`, or after a colon as on the command line: ols:variant=fine-grained.',
    ),
    options: z
      .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
      .optional()
      .describe('Options of the objective by name, where none stand after a colon.'),
    name: z.string().min(1).optional().describe('For tables and folders. Default: made of the objective.'),
    mixup: z.number().min(0).optional().describe('α of the Beta distribution that mixes images; 0 is off.'),
    settings: settings.optional().describe('Settings of this method alone: the last word.'),
  })
  .meta({ examples: [{ objective: 'ols', options: { variant: 'fine-grained' }, name: 'OLS' }] });

const method = z.union([objective(), methodObject]);

const centre = z
  .strictObject({
    name: z.string().min(1).describe('For the tables.'),
    set: set.describe('The data of the centre: what `sets` take.'),
    split: splitName
      .optional()
      .describe(
        'Which of its splits is judged. Default: test, else val, else train; data without splits are judged whole.',
      ),
    for: z
      .array(z.string())
      .min(1)
      .optional()
      .describe('Training sets whose networks are tested there. Default: all.'),
  })
  .describe(
    'A data set of another hospital, on which trained networks are tested. Its classes, after `classMap`, must be those of the training set.',
  )
  .meta({ examples: [{ name: 'hospital B', set: { path: 'data/hospital-b' }, split: 'test' }] });

/** What each part of the judgement may be told, as the part itself says it. */
const partSettings = Object.fromEntries(
  partList().flatMap(({ name, settings }) => (settings === undefined ? [] : [[name, settings]])),
) as Record<string, z.ZodType>;

/** The typed configuration of a study. Each key's text is its documentation, also in the JSON schema. */
export const studySchema = z
  .strictObject({
    $schema: z.string().optional().describe('Where editors find this schema.'),
    name: name('name').describe(
      "The study's short name: its folder is runs/<name> unless `out` says otherwise.",
    ),
    title: z.string().optional().describe('For the head of the report. Default: the name.'),
    sets: z
      .record(name('a set'), set)
      .refine((sets) => Object.keys(sets).length > 0, 'expected at least one data set')
      .describe('The data sets to train on, by the names that tables show.')
      .meta({ examples: [{ knee: { path: 'data/knee' } }] }),
    networks: z
      .array(z.string().meta(ownToo(modelNames(), '^[\\w.-]+$')))
      .min(1)
      .describe('Networks, as `penumbra train --model` names them.')
      .meta({ examples: [['resnet18']] }),
    methods: z
      .array(method)
      .min(1)
      .describe(
        'Objectives as on the command line, or objects where a method has options, a name, mixup or settings.',
      )
      .meta({ examples: [['hard', 'ls', { objective: 'ols', options: { variant: 'fine-grained' } }]] }),
    seeds: z
      .union([z.int().min(1), z.array(z.int().min(0)).min(1)])
      .describe('How many (0, 1, …) or which. Every method is trained once with each.')
      .meta({ examples: [3, [0, 1, 2]] }),
    settings: settings
      .default({})
      .describe(
        "Settings of every run, as in `penumbra train --config`; what is not named keeps train's default.",
      ),
    setSettings: z
      .record(z.string(), settings)
      .default({})
      .describe('Settings of one data set: they win over `settings`.')
      .meta({ examples: [{ knee: { size: 64 } }] }),
    networkSettings: z
      .record(z.string(), settings)
      .default({})
      .describe('Settings of one network: they win over those of the data set.')
      .meta({ examples: [{ resnet50: { batchSize: 32 } }] }),
    baseline: z
      .string()
      .optional()
      .describe(
        'The method that the others are compared with. Default: hard where it is there, else the first.',
      ),
    judge: splitName
      .optional()
      .describe('Which split is judged. Default: test where there is one, else val.'),
    centres: z.array(centre).default([]).describe('Out-of-centre tests, besides the sites of a set.'),
    ...partSettings,
    bins: z.int().min(1).max(10_000).default(15).describe('Bins of the calibration errors.'),
    replicates: z
      .int()
      .min(0)
      .default(1000)
      .describe('Resamples for measures of features; 0: values alone, without intervals and tests.'),
    out: z
      .string()
      .optional()
      .describe('The folder of the study, relative to the study file. `--out` overrides it.'),
  })
  .meta({
    examples: [
      {
        name: 'knee',
        sets: { knee: { path: 'data/knee' } },
        networks: ['resnet18'],
        methods: ['hard', 'ols'],
        seeds: 3,
      },
    ],
  });

/** As written, with the defaults. */
export type StudyConfig = z.output<typeof studySchema>;
export type SetConfig = z.output<typeof set>;

/**
 * The JSON schema of a study file, for editors: `penumbra study --schema`. It knows the options of every objective; the
 * reader takes those of objectives of one's own, too.
 */
export function studyJsonSchema(): object {
  const schema = z.toJSONSchema(studySchema, {
    io: 'input',
    override({ zodSchema, jsonSchema }) {
      if (zodSchema === methodObject) jsonSchema.allOf = optionSchemas();
    },
  });
  return { title: 'Penumbra study', ...schema };
}

/** What `options` may hold, for each objective. */
function optionSchemas(): z.core.JSONSchema.BaseSchema[] {
  return objectiveDefinitions().map(({ name, options }) => {
    const { $schema: _, ...schema } = z.toJSONSchema(options, { io: 'input', unrepresentable: 'any' });
    return {
      if: { properties: { objective: { const: name } }, required: ['objective'] },
      // biome-ignore lint/suspicious/noThenProperty: the keyword of JSON Schema
      then: { properties: { options: schema } },
    };
  });
}
