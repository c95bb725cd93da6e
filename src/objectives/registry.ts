import { PenumbraError } from '../errors.ts';
import { Hard } from './hard.ts';
import { LabelSmoothing, type LabelSmoothingOptions } from './label-smoothing.ts';
import type { Objective, ObjectiveContext } from './objective.ts';
import {
  checkOnlineLabelSmoothing,
  OnlineLabelSmoothing,
  type OnlineLabelSmoothingOptions,
  type OnlineLabelSmoothingVariant,
} from './online-label-smoothing.ts';

/** An objective and its options, as configurations and command lines name it: `ols:variant=fine-grained`. */
export interface ObjectiveSpec {
  readonly name: string;
  readonly options: Readonly<Record<string, string | number>>;
}

interface Entry {
  /** For people. */
  readonly label: string;
  readonly options: readonly string[];
  /** Raises what is wrong with the options, before anything is loaded or trained. */
  check(options: ObjectiveSpec['options']): void;
  make(options: ObjectiveSpec['options'], context: ObjectiveContext): Objective;
}

const objectives: Readonly<Record<string, Entry>> = {
  hard: { label: 'Hard labels', options: [], check: () => {}, make: () => new Hard() },
  ls: {
    label: 'Label smoothing',
    options: ['epsilon'],
    check: (options) => new LabelSmoothing(smoothing(options)),
    make: (options) => new LabelSmoothing(smoothing(options)),
  },
  ols: {
    label: 'Online label smoothing',
    options: ['variant', 'alpha'],
    check: (options) => checkOnlineLabelSmoothing(onlineSmoothing(options)),
    make: (options, context) => new OnlineLabelSmoothing(onlineSmoothing(options), context),
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
    if (!entry.options.includes(key) || value === '' || more.length > 0) {
      throw new PenumbraError('objectives/option', `${name} has no option '${part}'`, {
        hint:
          entry.options.length === 0
            ? `${name} has no options`
            : `written option=value; options: ${entry.options.join(', ')}`,
      });
    }
    const number = Number(value);
    options[key] = Number.isNaN(number) ? value : number;
  }
  entry.check(options);
  return { name, options };
}

/** The text that `parseObjective` reads. */
export function formatObjective(spec: ObjectiveSpec): string {
  const options = Object.entries(spec.options).map(([key, value]) => `${key}=${value}`);
  return options.length === 0 ? spec.name : `${spec.name}:${options.join(',')}`;
}

export function createObjective(spec: ObjectiveSpec, context: ObjectiveContext): Objective {
  return objectives[parseObjective(formatObjective(spec)).name]!.make(spec.options, context);
}

function smoothing(options: ObjectiveSpec['options']): LabelSmoothingOptions {
  const epsilon = numberOption('ls', options, 'epsilon');
  return epsilon === undefined ? {} : { epsilon };
}

function onlineSmoothing(options: ObjectiveSpec['options']): OnlineLabelSmoothingOptions {
  const alpha = numberOption('ols', options, 'alpha');
  return {
    ...(options.variant !== undefined && { variant: options.variant as OnlineLabelSmoothingVariant }),
    ...(alpha !== undefined && { alpha }),
  };
}

function numberOption(name: string, options: ObjectiveSpec['options'], key: string): number | undefined {
  const value = options[key];
  if (value === undefined || typeof value === 'number') return value;
  throw new PenumbraError('objectives/option', `${name}: ${key} must be a number, got '${value}'`);
}
