import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import {
  defineObjective,
  objectiveDefinitions,
  objectiveHelp,
  objectiveMarkdown,
  optionDocs,
  parseObjective,
  registerObjective,
  z,
} from './index.ts';

const mine = defineObjective({
  name: 'docs-test',
  tasks: ['findings'],
  options: z.strictObject({
    low: z.number().gt(0).describe('a number'),
    count: z.int().min(1).max(9).default(3),
    kind: z.enum(['a', 'b']).default('a'),
    loud: z.boolean().default(false),
    most: z.number().max(2).optional(),
  }),
  make: () => ({ target: ({ targets }, task) => task.label(targets) }),
});

test('a schema gives what help and messages say', () => {
  expect(optionDocs(mine)).toEqual([
    { name: 'low', type: 'number', allowed: 'above 0', default: undefined, description: 'a number' },
    { name: 'count', type: 'number', allowed: 'in [1, 9]', default: 3, description: '' },
    { name: 'kind', type: 'text', allowed: 'one of: a, b', default: 'a', description: '' },
    { name: 'loud', type: 'boolean', allowed: '', default: false, description: '' },
    { name: 'most', type: 'number', allowed: '2 or less', default: undefined, description: '' },
  ]);
  expect(objectiveHelp(mine).split('\n').slice(0, 3)).toEqual([
    'docs-test   docs-test. Findings only.',
    '              low=…       a number (above 0)',
    '              count=3      (in [1, 9])',
  ]);
  expect(objectiveMarkdown(mine)).toContain('| `count` | in [1, 9] | 3 |  |');
});

test('options of a registered method are read by it, and its name is taken once', () => {
  registerObjective(mine);
  registerObjective(mine);
  expect(parseObjective('docs-test:low=0.5,loud=true,kind=b')).toEqual({
    name: 'docs-test',
    options: { low: 0.5, loud: true, kind: 'b' },
  });
  for (const [text, message] of [
    ['docs-test', /docs-test: low must be given/],
    ['docs-test:low=1,count=2.5', /count must be in \[1, 9\], got 2.5/],
    ['docs-test:low=1,loud=yes', /loud must be true or false, got 'yes'/],
    ['docs-test:low=1,most=3', /most must be 2 or less, got 3/],
    ['docs-test:low=1,kind=c', /there is no kind 'c'/],
  ] as const)
    expect(() => parseObjective(text)).toThrow(message);
  expect(() => registerObjective({ ...mine })).toThrow(/there already is an objective 'docs-test'/);
  expect(() => registerObjective({ ...mine, name: 'a:b' })).toThrow(/'a:b' is no name/);
  expect(() => registerObjective({ name: 'x' } as never)).toThrow(/no definition/);
});

test('docs/objectives.md is what the schemas say (write it anew with vitest -u)', async () => {
  const sections = objectiveDefinitions()
    .filter(({ name }) => name !== 'docs-test')
    .map(objectiveMarkdown);
  const page = `# Objectives

What a network is trained towards: \`penumbra train --objective ls:epsilon=0.2\`. A method of one's own:
[own-methods.md](own-methods.md). Written from the methods' own schemas, as \`penumbra train --help\` is.

${sections.join('\n')}`;
  await expect(page).toMatchFileSnapshot(fileURLToPath(new URL('../../docs/objectives.md', import.meta.url)));
});
