import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { planStudy } from '../../src/study/plan.ts';
import { openStudyData } from '../../src/study/study-data.ts';
import { resolveStudy } from '../../src/study/study-file.ts';

/** Runs as `method (role) < teacher's method`. */
async function planned(methods: readonly string[]): Promise<string[]> {
  const file = join(tmpdir(), 'teachers.json');
  const sets = { virtual: { path: 'phantom', phantom: { images: 60, size: 32 } } };
  const study = resolveStudy({ name: 'teachers', sets, networks: ['resnet10'], methods, seeds: 1 }, file);
  return planStudy(study, await openStudyData(study), join(tmpdir(), 'never')).runs.map(
    ({ method, role, teacher }) =>
      `${method} (${role})${teacher === undefined ? '' : ` < ${teacher.method}`}`,
  );
}

test('every teacher is trained with what its students need, once, and first; a method of the study serves', async () => {
  expect(await planned(['tfkd-self', 'u-selftrained', 'u-ignore', 'ols'])).toEqual([
    'hard (teacher)',
    'u-ignore (method)',
    'ols (method)',
    'tfkd-self (method) < hard',
    'u-selftrained (method) < u-ignore',
  ]);
  expect(await planned(['u-selftrained', 'hard'])).toEqual([
    'u-ignore (teacher)',
    'hard (method)',
    'u-selftrained (method) < u-ignore',
  ]);
});
