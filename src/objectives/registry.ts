import { PenumbraError } from '../errors.ts';
import { Named } from '../named.ts';
import { nearest } from '../nearest.ts';
import type { TaskKind } from '../tasks/index.ts';
import { asymmetric } from './asymmetric.ts';
import { aucMargin } from './auc-margin.ts';
import { classSimilaritySmoothing } from './class-similarity-smoothing.ts';
import { dualUncertainty } from './dual-uncertainty.ts';
import { focal } from './focal.ts';
import { forwardCorrection } from './forward-correction.ts';
import { generalizedLabelSmoothing } from './generalized-label-smoothing.ts';
import { hard } from './hard.ts';
import { labelSmoothing } from './label-smoothing.ts';
import { maplez } from './maplez.ts';
import { neighbourRelabelling } from './neighbour-relabelling.ts';
import { nvum } from './nvum.ts';
import type { ObjectiveContext, ObjectiveDefinition } from './objective.ts';
import { ObjectiveRun } from './objective-run.ts';
import { onlineLabelSmoothing } from './online-label-smoothing.ts';
import { type OptionDoc, optionDocs } from './option-docs.ts';
import { shuffledRates } from './shuffled-rates.ts';
import { smallLoss } from './small-loss.ts';
import { soft } from './soft.ts';
import { teacherFreeRegularization, teacherFreeSelf } from './teacher-free-kd.ts';
import { uMultiClass } from './u-multiclass.ts';
import {
  uIgnore,
  uOnes,
  uOnesSmoothed,
  uSelfTrained,
  uZeros,
  uZerosSmoothed,
} from './uncertainty-policies.ts';

/** An objective and its options, as configurations and command lines name it: `ols:variant=fine-grained`. */
export interface ObjectiveSpec {
  readonly name: string;
  readonly options: Readonly<Record<string, OptionValue>>;
}

export type OptionValue = string | number | boolean;

const methods = new Named<ObjectiveDefinition>(
  {
    area: 'objectives',
    one: 'an objective',
    unknown: 'objective',
    hint: 'write it with defineObjective({ name, tasks, options, make })',
    more: '; options follow a colon: ols:variant=fine-grained',
  },
  ({ tasks, make, options }) =>
    typeof make === 'function' && Array.isArray(tasks) && typeof options?.safeParse === 'function',
);

/**
 * Makes a method known by its name, to configurations, command lines and studies of this process.
 * @throws `objectives/name` for a name that another method has, or that cannot be written before a colon;
 * `objectives/objective` for what is no definition
 */
export function registerObjective(definition: ObjectiveDefinition): void {
  methods.register(definition);
}

for (const definition of [
  hard,
  labelSmoothing,
  onlineLabelSmoothing,
  teacherFreeRegularization,
  teacherFreeSelf,
  classSimilaritySmoothing,
  generalizedLabelSmoothing,
  focal,
  soft,
  shuffledRates,
  forwardCorrection,
  maplez,
  uIgnore,
  uZeros,
  uOnes,
  uZerosSmoothed,
  uOnesSmoothed,
  uSelfTrained,
  uMultiClass,
  asymmetric,
  aucMargin,
  nvum,
  neighbourRelabelling,
  smallLoss,
  dualUncertainty,
])
  registerObjective(definition as unknown as ObjectiveDefinition);

/** All methods, in the order of registration. */
export function objectiveDefinitions(): readonly ObjectiveDefinition[] {
  return methods.all();
}

export function objectiveNames(): readonly string[] {
  return methods.names();
}

/** @throws `objectives/unknown` */
export function objectiveNamed(name: string): ObjectiveDefinition {
  return methods.get(name);
}

/** `ols` → Online label smoothing; `ls:epsilon=0.2` → Label smoothing (epsilon 0.2). */
export function objectiveLabel(text: string): string {
  const { name, options } = parseObjective(text);
  const details = Object.entries(options).map(([key, value]) => `${key} ${value}`);
  const { label } = objectiveNamed(name);
  return details.length === 0 ? label : `${label} (${details.join(', ')})`;
}

/**
 * Reads `name` or `name:option=value,option=value`.
 * @throws `objectives/unknown`, `objectives/option`
 */
export function parseObjective(text: string): ObjectiveSpec {
  const colon = text.indexOf(':');
  const definition = objectiveNamed((colon < 0 ? text : text.slice(0, colon)).trim());
  const docs = new Map(optionDocs(definition).map((doc) => [doc.name, doc]));
  const options: Record<string, OptionValue> = {};
  for (const part of colon < 0 ? [] : text.slice(colon + 1).split(',')) {
    const [key = '', value = '', ...more] = part.split('=').map((side) => side.trim());
    const doc = docs.get(key);
    if (doc === undefined || value === '' || more.length > 0) throw unknownOption(definition, part, docs);
    options[key] = readValue(definition.name, doc, value);
  }
  checkOptions(definition, options);
  return { name: definition.name, options };
}

/**
 * An objective from its options as an object.
 * @throws `objectives/unknown`, `objectives/option`
 */
export function objectiveSpec(name: string, options: ObjectiveSpec['options']): ObjectiveSpec {
  const definition = objectiveNamed(name);
  const known = optionDocs(definition).map((doc) => doc.name);
  const strange = Object.keys(options).find((key) => !known.includes(key));
  if (strange !== undefined) {
    throw new PenumbraError('objectives/option', `${name} has no option '${strange}'`, {
      hint:
        known.length === 0
          ? `${name} has no options`
          : `did you mean '${nearest(strange, known)}'? There are: ${known.join(', ')}`,
    });
  }
  checkOptions(definition, options);
  return { name, options };
}

function unknownOption(
  { name }: ObjectiveDefinition,
  part: string,
  docs: ReadonlyMap<string, OptionDoc>,
): PenumbraError {
  const known = [...docs.keys()];
  return new PenumbraError('objectives/option', `${name} has no option '${part}'`, {
    hint:
      known.length === 0 ? `${name} has no options` : `written option=value; options: ${known.join(', ')}`,
  });
}

function readValue(objective: string, { name, type }: OptionDoc, text: string): OptionValue {
  if (type === 'text') return text;
  if (type === 'boolean') {
    if (text === 'true' || text === 'false') return text === 'true';
    throw new PenumbraError(
      'objectives/option',
      `${objective}: ${name} must be true or false, got '${text}'`,
    );
  }
  if (!Number.isNaN(Number(text))) return Number(text);
  throw new PenumbraError('objectives/option', `${objective}: ${name} must be a number, got '${text}'`);
}

/**
 * The options with their defaults.
 * @throws `objectives/option` naming the option, what is allowed, and what was found
 */
function checkOptions(
  definition: ObjectiveDefinition,
  options: ObjectiveSpec['options'],
): Record<string, unknown> {
  const result = definition.options.safeParse(options);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0]!;
  const doc = optionDocs(definition).find(({ name }) => name === path[0]);
  if (doc === undefined) throw new PenumbraError('objectives/option', `${definition.name}: ${message}`);
  const value = options[doc.name];
  if (value === undefined)
    throw new PenumbraError('objectives/option', `${definition.name}: ${doc.name} must be given`);
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new PenumbraError(
      'objectives/option',
      `${definition.name}: ${doc.name} must be a finite number, got ${value}`,
    );
  }
  if (doc.type === 'text' && doc.allowed !== '') {
    const choices = doc.allowed.replace(/^one of: /, '').split(', ');
    throw new PenumbraError('objectives/option', `${definition.name}: there is no ${doc.name} '${value}'`, {
      hint: `did you mean '${nearest(String(value), choices)}'? ${doc.allowed}`,
    });
  }
  throw new PenumbraError(
    'objectives/option',
    `${definition.name}: ${doc.name} must be ${doc.allowed || message}, got ${value}`,
  );
}

/** Whether the method learns from a teacher: a trained copy of the same network. */
export function needsTeacher(text: string): boolean {
  return teacherObjective(text) !== undefined;
}

/** Whether the method trains the network's head of doubt itself. */
export function needsDoubt(text: string): boolean {
  return objectiveNamed(parseObjective(text).name).doubt ?? false;
}

/** Whether the method is trained by one process alone. */
export function needsOneProcess(text: string): boolean {
  return objectiveNamed(parseObjective(text).name).alone ?? false;
}

/** What the method's teacher is trained with; undefined for a method that needs none. */
export function teacherObjective(text: string): string | undefined {
  const { teacher = false } = objectiveNamed(parseObjective(text).name);
  return teacher === true ? 'hard' : teacher || undefined;
}

/** The text that `parseObjective` reads. */
export function formatObjective(spec: ObjectiveSpec): string {
  const options = Object.entries(spec.options).map(([key, value]) => `${key}=${value}`);
  return options.length === 0 ? spec.name : `${spec.name}:${options.join(',')}`;
}

/**
 * Holds a method to the kind of targets that there are.
 * @throws `objectives/task` naming the methods that serve them
 */
export function checkServes(text: string, kind: TaskKind): void {
  const { name, tasks } = objectiveNamed(parseObjective(text).name);
  if (tasks.includes(kind)) return;
  const others = objectiveDefinitions().filter((other) => other.tasks.includes(kind));
  const words = { 'one-of-k': 'one label of K', findings: 'findings' } as const;
  throw new PenumbraError(
    'objectives/task',
    `${name} serves ${tasks.map((task) => words[task]).join(' and ')}, and these data have ${words[kind]}`,
    { hint: `one of: ${others.map((other) => other.name).join(', ')}` },
  );
}

/** @throws `objectives/unknown`, `objectives/option`, `objectives/task` */
export function createObjective(spec: ObjectiveSpec, context: ObjectiveContext): ObjectiveRun {
  const definition = objectiveNamed(spec.name);
  checkServes(spec.name, context.task.kind);
  const options = checkOptions(definition, spec.options);
  return new ObjectiveRun(definition, definition.make(options, context), context.task);
}
