import { PenumbraError } from '../errors.ts';
import { ClassSimilaritySmoothing, checkClassSimilaritySmoothing } from './class-similarity-smoothing.ts';
import { Focal } from './focal.ts';
import { checkGeneralizedLabelSmoothing, GeneralizedLabelSmoothing } from './generalized-label-smoothing.ts';
import { Hard } from './hard.ts';
import { LabelSmoothing } from './label-smoothing.ts';
import type { Objective, ObjectiveContext } from './objective.ts';
import { checkOnlineLabelSmoothing, OnlineLabelSmoothing } from './online-label-smoothing.ts';
import { checkTeacherFree, TeacherFreeRegularization, TeacherFreeSelf } from './teacher-free-kd.ts';

/** An objective and its options, as configurations and command lines name it: `ols:variant=fine-grained`. */
export interface ObjectiveSpec {
  readonly name: string;
  readonly options: Readonly<Record<string, string | number>>;
}

/** What an option's value is. */
type Kind = 'number' | 'text';

interface Entry {
  /** For people. */
  readonly label: string;
  readonly options: Readonly<Record<string, Kind>>;
  /** Whether every batch must bring a teacher's logits. */
  readonly teacher?: true;
  /** Raises what is wrong with the options, before anything is loaded or trained. */
  check(options: ObjectiveSpec['options']): void;
  make(options: ObjectiveSpec['options'], context: ObjectiveContext): Objective;
}

const teacherFree = { alpha: 'number', temperature: 'number', multiplier: 'number' } as const;

/** Options have the names and kinds of each method's own interface, and are checked against the kinds when parsed. */
const objectives: Readonly<Record<string, Entry>> = {
  hard: { label: 'Hard labels', options: {}, check: () => {}, make: () => new Hard() },
  ls: {
    label: 'Label smoothing',
    options: { epsilon: 'number' },
    check: (options) => new LabelSmoothing(options),
    make: (options) => new LabelSmoothing(options),
  },
  ols: {
    label: 'Online label smoothing',
    options: { variant: 'text', alpha: 'number' },
    check: checkOnlineLabelSmoothing,
    make: (options, context) => new OnlineLabelSmoothing(options, context),
  },
  'tfkd-reg': {
    label: 'Teacher-free KD, virtual teacher',
    options: teacherFree,
    check: (options) => checkTeacherFree('tfkd-reg', options),
    make: (options, context) => new TeacherFreeRegularization(options, context),
  },
  'tfkd-self': {
    label: 'Teacher-free KD, self-training',
    options: teacherFree,
    teacher: true,
    check: (options) => checkTeacherFree('tfkd-self', options),
    make: (options, context) => new TeacherFreeSelf(options, context),
  },
  css: {
    label: 'Class-similarity smoothing',
    options: { epsilon: 'number', temperature: 'number', similarity: 'text' },
    check: checkClassSimilaritySmoothing,
    make: (options, context) => new ClassSimilaritySmoothing(options, context),
  },
  gls: {
    label: 'Generalized label smoothing',
    options: { rate: 'number', warmup: 'number', scale: 'number', floor: 'number' },
    check: checkGeneralizedLabelSmoothing,
    make: (options, context) => new GeneralizedLabelSmoothing(options, context),
  },
  focal: {
    label: 'Focal loss',
    options: { gamma: 'number' },
    check: (options) => new Focal(options),
    make: (options) => new Focal(options),
  },
};

export const objectiveNames: readonly string[] = Object.keys(objectives);

/** `ols` → Online label smoothing; `ls:epsilon=0.2` → Label smoothing (epsilon 0.2). */
export function objectiveLabel(text: string): string {
  const { name, options } = parseObjective(text);
  const details = Object.entries(options).map(([key, value]) => `${key} ${value}`);
  const { label } = objectives[name]!;
  return details.length === 0 ? label : `${label} (${details.join(', ')})`;
}

/**
 * Reads `name` or `name:option=value,option=value`.
 * @throws `objectives/unknown`, `objectives/option`
 */
export function parseObjective(text: string): ObjectiveSpec {
  const colon = text.indexOf(':');
  const name = (colon < 0 ? text : text.slice(0, colon)).trim();
  const entry = Object.hasOwn(objectives, name) ? objectives[name] : undefined;
  if (entry === undefined) {
    throw new PenumbraError('objectives/unknown', `there is no objective '${name}'`, {
      hint: `one of: ${objectiveNames.join(', ')}; options follow a colon: ols:variant=fine-grained`,
    });
  }
  const options: Record<string, string | number> = {};
  for (const part of colon < 0 ? [] : text.slice(colon + 1).split(',')) {
    const [key = '', value = '', ...more] = part.split('=').map((side) => side.trim());
    const kind = Object.hasOwn(entry.options, key) ? entry.options[key] : undefined;
    if (kind === undefined || value === '' || more.length > 0) {
      const known = Object.keys(entry.options);
      throw new PenumbraError('objectives/option', `${name} has no option '${part}'`, {
        hint:
          known.length === 0
            ? `${name} has no options`
            : `written option=value; options: ${known.join(', ')}`,
      });
    }
    options[key] = kind === 'number' ? Number(value) : value;
    if (Number.isNaN(options[key]))
      throw new PenumbraError('objectives/option', `${name}: ${key} must be a number, got '${value}'`);
  }
  entry.check(options);
  return { name, options };
}

/** Whether the method learns from a teacher: a trained copy of the same network. */
export function needsTeacher(text: string): boolean {
  return objectives[parseObjective(text).name]!.teacher ?? false;
}

/** The text that `parseObjective` reads. */
export function formatObjective(spec: ObjectiveSpec): string {
  const options = Object.entries(spec.options).map(([key, value]) => `${key}=${value}`);
  return options.length === 0 ? spec.name : `${spec.name}:${options.join(',')}`;
}

export function createObjective(spec: ObjectiveSpec, context: ObjectiveContext): Objective {
  return objectives[parseObjective(formatObjective(spec)).name]!.make(spec.options, context);
}
