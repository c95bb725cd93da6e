/** One of the processes of races.ts. */
import { closeSync, openSync, unlinkSync } from 'node:fs';
import { PenumbraError } from '../../src/errors.ts';
import { takeLock } from '../../src/files/index.ts';
import type { RaceReply, RaceRequest } from './races.ts';

process.on('disconnect', () => process.exit());
process.on('message', async (request: RaceRequest) => {
  while (Date.now() < request.at);
  process.send!(await run(request));
});
process.send!('held');

async function run({ path, withoutKernel, hold }: RaceRequest): Promise<RaceReply> {
  try {
    using _lock = takeLock(path, { withoutKernel });
    const busy = `${path}.busy`;
    try {
      closeSync(openSync(busy, 'wx'));
    } catch {
      return 'two';
    }
    await new Promise((resolve) => setTimeout(resolve, hold));
    unlinkSync(busy);
    return 'held';
  } catch (error) {
    if (error instanceof PenumbraError && error.code === 'files/locked') return 'locked';
    return { error: String(error) };
  }
}
