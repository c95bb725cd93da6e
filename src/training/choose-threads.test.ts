import { expect, test } from 'vitest';
import { timeThreads } from './choose-threads.ts';
import { firstThatPays } from './time-steps.ts';

/** What is measured, and chosen, where so many threads bring so many images a second. */
async function chosen(cores: number, speeds: Record<number, number>) {
  const asked: number[] = [];
  const measured = await timeThreads(cores, (threads) => {
    asked.push(threads);
    return Promise.resolve(speeds[threads]!);
  });
  return { asked, threads: firstThatPays(measured).threads };
}

test('fewer threads are tried as long as they are faster', async () => {
  expect(await chosen(8, { 8: 40, 4: 30 })).toEqual({ asked: [8, 4], threads: 8 });
  expect(await chosen(8, { 8: 8, 4: 20, 2: 25, 1: 22 })).toEqual({ asked: [8, 4, 2, 1], threads: 2 });
  expect(await chosen(6, { 6: 8, 3: 20, 1: 25 })).toEqual({ asked: [6, 3, 1], threads: 1 });
});

test('of two numbers that are alike the smaller one is taken', async () => {
  expect(await chosen(2, { 2: 41, 1: 40 })).toEqual({ asked: [2, 1], threads: 1 });
});

test('one core needs no measurement', async () => {
  expect(await chosen(1, {})).toEqual({ asked: [], threads: 1 });
});
