// Writes src/torch/generated/operators.ts, the typed surface of the LibTorch that the add-on was built against:
// one signature per overload, from the library's own schemas. Run by set-up; the result is not part of the repository.
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const addon = process.env.PENUMBRA_ADDON ?? join(root, 'build', 'penumbra.node');
const native = createRequire(import.meta.url)(addon);

/** Methods that `Tensor` writes itself. */
const OWN = new Set([
  'item',
  'data',
  'backward',
  'shape',
  'size',
  'dtype',
  'device',
  'grad',
  'dispose',
  'handle',
  'scope',
  'released',
  'constructor',
  'toString',
]);

const ARGUMENT = {
  Tensor: 'Tensor',
  int: 'number | bigint',
  float: 'number',
  bool: 'boolean',
  Scalar: 'Scalar',
  str: 'string',
  ScalarType: 'DType',
  Layout: 'Layout',
  MemoryFormat: 'MemoryFormat',
  Device: 'Device',
  Generator: 'Generator',
};
const RESULT = { ...ARGUMENT, int: 'number', Scalar: 'number | Complex' };

const RESERVED = new Set([
  'default',
  'function',
  'in',
  'var',
  'new',
  'delete',
  'with',
  'class',
  'import',
  'export',
  'return',
  'this',
  'else',
  'for',
  'if',
  'is',
]);
const parameter = (name) => (RESERVED.has(name) ? `${name}_` : name);
const key = (name) => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name));

function argumentType(slot) {
  let type = ARGUMENT[slot.kind];
  if (slot.list) {
    const element = slot.optionalElements ? `(${type} | null)` : type.includes('|') ? `(${type})` : type;
    type = `readonly ${element}[]${slot.length > 0 ? ` | ${type}` : ''}`;
  }
  return slot.optional ? `${type} | null` : type;
}

function resultType(slots) {
  const one = (slot) => {
    let type = RESULT[slot.kind] ?? 'unknown';
    if (slot.list) type = type.includes('|') ? `(${type})[]` : `${type}[]`;
    return type;
  };
  if (slots.length === 0) return 'void';
  return slots.length === 1 ? one(slots[0]) : `[${slots.map(one).join(', ')}]`;
}

/** All by position; and, for each place from which on arguments have defaults, the rest by name. */
function signatures(schema, isMethod) {
  const slots = isMethod ? schema.arguments.slice(1) : schema.arguments;
  const result = resultType(schema.returns);
  const omissible = (slot) => slot.hasDefault || slot.optional;
  const positional = slots.filter((slot) => !slot.keywordOnly);
  const keywords = slots.filter((slot) => slot.keywordOnly);
  const required = positional.length - [...positional].reverse().findIndex((slot) => !omissible(slot));
  const firstDefault = positional.some((slot) => !omissible(slot)) ? required : 0;
  const object = (list) => {
    if (list.length === 0) return [];
    const optional = list.every(omissible);
    return [
      `options${optional ? '?' : ''}: { ${list.map((slot) => `${key(slot.name)}${omissible(slot) ? '?' : ''}: ${argumentType(slot)}`).join('; ')} }`,
    ];
  };
  // TypeScript allows no required parameter after an optional one.
  const needsOptions = keywords.some((slot) => !omissible(slot));
  const byPosition = positional.map(
    (slot, i) =>
      `${parameter(slot.name)}${i >= firstDefault && !needsOptions ? '?' : ''}: ${argumentType(slot)}`,
  );
  const forms = [`(${[...byPosition, ...object(keywords)].join(', ')}): ${result}`];
  for (let split = firstDefault; split < positional.length; split++) {
    const before = positional.slice(0, split).map((slot) => `${parameter(slot.name)}: ${argumentType(slot)}`);
    forms.push(
      `(${[...before, ...object([...positional.slice(split), ...keywords])].join(', ')}): ${result}`,
    );
  }
  return forms;
}

const usable = (schema) =>
  [...schema.arguments].every((slot) => slot.kind !== 'unsupported' || slot.hasDefault || slot.optional);
const schemas = native.schemas().filter(usable);
for (const schema of schemas)
  schema.arguments = schema.arguments.filter((slot) => slot.kind !== 'unsupported');
const writesOut = (schema) => schema.arguments.some((slot) => slot.keywordOnly && slot.written);
schemas.sort((a, b) =>
  a.name < b.name
    ? -1
    : a.name > b.name
      ? 1
      : writesOut(a) - writesOut(b) || a.arguments.length - b.arguments.length,
);

const groups =
  Map.groupBy?.(schemas, (schema) => schema.name) ??
  schemas.reduce((map, schema) => map.set(schema.name, [...(map.get(schema.name) ?? []), schema]), new Map());
const isMethod = (schema) =>
  schema.arguments[0]?.name === 'self' &&
  schema.arguments[0].kind === 'Tensor' &&
  !schema.arguments[0].list &&
  !schema.arguments[0].optional;

const functions = [];
const methods = [];
const methodNames = [];
for (const [name, overloads] of groups) {
  const lines = (list, asMethod) =>
    list.flatMap((schema) => {
      // The same types can come twice where overloads differ only by what JavaScript does not tell apart.
      const forms = signatures(schema, asMethod);
      return [
        `  /** \`${schema.schema.replaceAll('*/', '*\\/')}\` */`,
        ...forms.map((form) => `  ${key(name)}${form};`),
      ];
    });
  functions.push(...lines(overloads, false));
  if (name.startsWith('_') || OWN.has(name)) continue;
  const asMethods = overloads.filter((schema) => isMethod(schema) && !writesOut(schema));
  if (asMethods.length === 0) continue;
  methods.push(...lines(asMethods, true));
  methodNames.push(name);
}

const version = native.info().version;
const text = `// Generated by scripts/generate-ops.mjs from the schemas of LibTorch ${version}. Do not edit.
import type { Generator } from '../generator.ts';
import type { Tensor } from '../tensor.ts';
import type { Complex, Device, DType, Layout, MemoryFormat, Scalar } from '../types.ts';

/** ${schemas.length} overloads of ${groups.size} operators. */
export interface Operators {
${functions.join('\n')}
}

/** Operators whose first argument is the tensor itself. */
export interface TensorMethods {
${methods.join('\n')}
}

export const operatorNames: readonly string[] = ${JSON.stringify([...groups.keys()])};

export const methodNames: readonly string[] = ${JSON.stringify(methodNames)};
`;
const folder = join(root, 'src', 'torch', 'generated');
mkdirSync(folder, { recursive: true });
const target = join(folder, 'operators.ts');
writeFileSync(`${target}.new`, text);
renameSync(`${target}.new`, target);
console.log(`${schemas.length} overloads of ${groups.size} operators (LibTorch ${version})`);
