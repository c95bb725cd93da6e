import { expect, test } from 'vitest';
import { RADIMAGENET_CLASSES, radImageNetClass } from '../../data/index.ts';
import { scatterPlot } from './scatter-plot.ts';

/** Places of n samples on a spiral. */
const spiral = (n: number) =>
  Float32Array.from(
    { length: 2 * n },
    (_, i) => Math.sqrt(i) * (i % 2 === 0 ? Math.cos(i) : Math.sin(i - 1)),
  );

test('the same samples in several panels, with one legend; all text is escaped', () => {
  const classes = ['no <tumour>', 'glioma & more'];
  const labels = Int32Array.from({ length: 40 }, (_, i) => i % 2);
  const svg = scatterPlot(
    [
      { head: 'hard', points: spiral(40), lines: ['silhouette 0.12'] },
      { head: 'ols', points: spiral(40).map((v) => 3 * v + 100) },
    ],
    labels,
    classes,
    { title: 'Two "methods"' },
  );
  for (const text of [
    'no &lt;tumour&gt;',
    'glioma &amp; more',
    'hard',
    'ols',
    'silhouette 0.12',
    '40 images by class',
  ])
    expect(svg).toContain(text);
  expect(svg).toMatch(/^<\?xml[^>]*>\n<svg /);
  expect(svg.match(/<(\w+)/g)!.length).toBe((svg.match(/<\/\w+/g) ?? []).length + svg.match(/\/>/g)!.length);
  // A moved and scaled picture is drawn alike: two panels with the same points, 20 of each class.
  const dots = [...svg.matchAll(/ d="(M[^"]*)"/g)]
    .map(([, d]) => d!)
    .filter((d) => [21, 41].includes(d.split('M').length));
  expect(dots.length).toBe(4);
  expect(dots[0]).toBe(dots[2]);
  expect(dots[1]).toBe(dots[3]);
});

test('165 classes go by what is coarser, or by the commonest where nothing is known', () => {
  const classes = [...RADIMAGENET_CLASSES];
  const labels = Int32Array.from({ length: 400 }, (_, i) => i % classes.length);
  const known = classes.map(radImageNetClass);
  const strata = { modality: known.map((c) => c.modality), anatomy: known.map((c) => c.anatomy) };
  const panels = [{ head: 't-SNE', points: spiral(400) }];
  const by = scatterPlot(panels, labels, classes, { title: 'RadImageNet', strata });
  expect(by).toContain('400 images by anatomy');
  for (const anatomy of new Set(strata.anatomy)) expect(by).toContain(anatomy);
  const plain = scatterPlot(panels, labels, classes, { title: 'RadImageNet' });
  expect(plain).toContain('154 other classes');
});
