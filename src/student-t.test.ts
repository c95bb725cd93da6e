import { expect, test } from 'vitest';
import { studentCdf, studentQuantile } from './student-t.ts';

// SciPy 1.17: t.ppf of 0.9, 0.975 and 0.9995; t.cdf(−2.3) and t.sf(12).
const known: readonly (readonly number[])[] = [
  [0.7, 5.009947959646406, 36.611415031588656, 9790.117523122977, 0.16877269872841427, 0.054529357491966086],
  [1, 3.0776835371752544, 12.706204736174694, 636.6192487687897, 0.13054758708862277, 0.026464676059589878],
  [
    3.5, 1.5765766051364052, 2.9400886379827282, 10.20482863165621, 0.04619672248986906,
    0.0002872670964280638,
  ],
  [5, 1.4758840488244815, 2.5705818356363146, 6.868826625881276, 0.03488623466601866, 3.544746258580761e-5],
  [
    30, 1.3104150253913955, 2.0422724563012378, 3.6459586350420627, 0.014290693643570874,
    2.7900927075996303e-13,
  ],
  [400, 1.2836715995703045, 1.9659123432294627, 3.315015223397567, 0.01098116153241283, 7.54213169153283e-29],
  [
    1e5, 1.2815600314493614, 1.9599877075346095, 3.2906240314119137, 0.010725134554660112,
    1.8722529059782093e-33,
  ],
];

test.each(known)('%d degrees of freedom, against SciPy', (freedom, ten, two, rare, left, right) => {
  expect(studentQuantile(0.9, freedom) / ten!).toBeCloseTo(1, 8);
  expect(studentQuantile(0.975, freedom) / two!).toBeCloseTo(1, 8);
  expect(studentQuantile(0.9995, freedom) / rare!).toBeCloseTo(1, 7);
  expect(studentQuantile(0.025, freedom)).toBeCloseTo(-studentQuantile(0.975, freedom), 12);
  expect(studentCdf(-2.3, freedom) / left!).toBeCloseTo(1, 9);
  expect(studentCdf(-12, freedom) / right!).toBeCloseTo(1, 8);
});

test('without bound it is the normal distribution', () => {
  expect(studentQuantile(0.975, Number.POSITIVE_INFINITY)).toBeCloseTo(1.959963984540054, 9);
  expect(studentCdf(0, 3)).toBeCloseTo(0.5, 12);
});
