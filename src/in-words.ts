import type { z } from 'zod';

const KINDS: Record<string, string> = {
  int: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  string: 'a text',
  array: 'a list',
  object: 'an object',
  record: 'an object',
};

/**
 * What is wrong with a value, after its name: `must be at least 1, and is 0`; undefined where the issue's own message says it.
 * @param given the value itself
 */
export function inWords(issue: z.core.$ZodIssue, given: unknown): string | undefined {
  const is = given === undefined ? 'is missing' : `is ${shortened(given)}`;
  switch (issue.code) {
    case 'too_small':
    case 'too_big': {
      const small = issue.code === 'too_small';
      const bound = small ? issue.minimum : issue.maximum;
      const how =
        issue.inclusive === false ? (small ? 'more than' : 'less than') : small ? 'at least' : 'at most';
      if (issue.origin === 'array' || issue.origin === 'string') {
        const unit = issue.origin === 'array' ? 'entries' : 'letters';
        return `must have ${how} ${bound} ${bound === 1 ? unit.replace(/ies$/, 'y').replace(/s$/, '') : unit}, and ${is}`;
      }
      return `must be ${how} ${bound}, and ${is}`;
    }
    case 'invalid_type':
      return `must be ${KINDS[issue.expected] ?? `of type ${issue.expected}`}, and ${is}`;
    case 'invalid_value':
      return `must be one of ${issue.values.map(String).join(', ')}, and ${is}`;
    case 'invalid_union':
      return `cannot be ${shortened(given)}`;
    default:
      return undefined;
  }
}

/** A value as JSON, cut where it is long. */
function shortened(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

/** The value at a path, undefined where there is none. */
export function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce(
    (inner, key) => (inner as Record<PropertyKey, unknown> | null | undefined)?.[key],
    value,
  );
}
