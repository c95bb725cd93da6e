/** What an objective's schema says of its options: for help, documentation, and messages. */
import { z } from 'zod';
import type { ObjectiveDefinition } from './objective.ts';

export interface OptionDoc {
  readonly name: string;
  readonly type: 'number' | 'text' | 'boolean';
  /** What is allowed: `in [0, 1]`, `one of: paper, zero-start`; empty where all is. */
  readonly allowed: string;
  readonly default: string | number | boolean | undefined;
  readonly description: string;
}

/** The part of a JSON schema that options use. */
interface Property {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly default?: string | number | boolean;
  readonly description?: string;
}

export function optionDocs({ options }: Pick<ObjectiveDefinition, 'options'>): OptionDoc[] {
  const schema = z.toJSONSchema(options, { io: 'input', unrepresentable: 'any' });
  return Object.entries((schema.properties ?? {}) as Record<string, Property>).map(([name, property]) => ({
    name,
    type: typeOf(property),
    allowed: allowed(property),
    default: property.default,
    description: property.description ?? '',
  }));
}

function typeOf({ type }: Property): OptionDoc['type'] {
  if (type === 'number' || type === 'integer') return 'number';
  return type === 'boolean' ? 'boolean' : 'text';
}

function allowed(property: Property): string {
  if (property.enum !== undefined) return `one of: ${property.enum.join(', ')}`;
  // Zod writes the whole range of safe integers where an integer has no bound.
  const bound = (value: number | undefined) =>
    value === undefined || Math.abs(value) === Number.MAX_SAFE_INTEGER ? undefined : value;
  const [low, high] = [bound(property.minimum), bound(property.maximum)];
  const [above, below] = [property.exclusiveMinimum, property.exclusiveMaximum];
  const least = low ?? above;
  const most = high ?? below;
  if (least !== undefined && most !== undefined)
    return `in ${above === undefined ? '[' : '('}${least}, ${most}${below === undefined ? ']' : ')'}`;
  if (low !== undefined) return `${low} or more`;
  if (above !== undefined) return `above ${above}`;
  if (high !== undefined) return `${high} or less`;
  return below === undefined ? '' : `below ${below}`;
}

/**
 * One method as lines of help: name, what it is, and its options with their defaults.
 *
 *     ls          Label smoothing. A share ε of …
 *                 epsilon=0.1   the share ε, … (in [0, 1])
 */
export function objectiveHelp(definition: ObjectiveDefinition, width = 12): string {
  const { name, label, summary, tasks } = definition;
  const only = tasks.length > 1 ? '' : tasks[0] === 'one-of-k' ? 'One label of K only.' : 'Findings only.';
  const docs = optionDocs(definition).map((doc) => {
    const value = doc.default === undefined ? '…' : String(doc.default);
    const range = doc.allowed === '' ? '' : ` (${doc.allowed})`;
    return [`${doc.name}=${value}`, `${doc.description}${range}`] as const;
  });
  const column = Math.max(0, ...docs.map(([head]) => head.length)) + 2;
  return [
    `${name.padEnd(width - 1)} ${[`${label}.`, summary, only].filter((part) => part !== '').join(' ')}`,
    ...docs.map(([head, text]) => `${' '.repeat(width + 2)}${head.padEnd(column)}${text}`),
  ].join('\n');
}

/** The same as a section of a Markdown page. */
export function objectiveMarkdown(definition: ObjectiveDefinition): string {
  const { name, label, summary, tasks, teacher } = definition;
  const words = { 'one-of-k': 'one label of K', findings: 'findings' } as const;
  const serves = `Serves ${tasks.map((task) => words[task]).join(' and ')}.`;
  const how = typeof teacher === 'string' ? ` with \`${teacher}\`` : '';
  const learns = teacher ? ` Learns from a teacher: \`--teacher RUN\`, or one is trained first${how}.` : '';
  const cell = (text: string) => text.replaceAll('|', '\\|');
  const rows = optionDocs(definition).map(
    (doc) =>
      `| \`${doc.name}\` | ${cell(doc.allowed || doc.type)} | ${doc.default ?? '–'} | ${cell(doc.description)} |`,
  );
  const table =
    rows.length === 0 ? [] : ['', '| option | allowed | default | meaning |', '|---|---|---|---|', ...rows];
  return [`## \`${name}\`: ${label}`, '', `${summary} ${serves}${learns}`, ...table, ''].join('\n');
}
