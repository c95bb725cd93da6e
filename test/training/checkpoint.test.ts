import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Random } from '../../src/random.ts';
import { Scope, setThreads, tidy } from '../../src/torch/index.ts';
import {
  type Checkpoint,
  loadCheckpoint,
  loadNewestCheckpoint,
  saveCheckpoint,
} from '../../src/training/checkpoint.ts';
import { RunFolder } from '../../src/training/index.ts';
import { unreleased } from '../unreleased.ts';
import { stateOf } from './writer-state.ts';

const root = mkdtempSync(join(tmpdir(), 'penumbra-checkpoint-'));
const writer = fileURLToPath(new URL('./writer.ts', import.meta.url));

beforeAll(() => setThreads(1));
afterAll(() => rmSync(root, { recursive: true }));

function expectState(checkpoint: Checkpoint<{ step: number }> | null, steps: readonly number[]): number {
  using _scope = new Scope();
  expect(steps).toContain(checkpoint?.progress.step);
  const { step } = checkpoint!.progress;
  const expected = stateOf(step).tensors;
  expect([...checkpoint!.tensors.keys()].sort()).toEqual([...expected.keys()].sort());
  for (const [name, value] of expected) expect(checkpoint!.tensors.get(name)!.equal(value), name).toBe(true);
  return step;
}

describe('200 kills (-9) at random moments of writing', () => {
  const KILLS = 200;
  // Starting a process takes longer than killing it: while one starts, another is killed.
  const LANES = 4;
  /** So many must hit the writing, or the test shows nothing. On a busy machine more kills miss it. */
  const HITS = KILLS / 10;

  test('the newest checkpoint is always whole: the one announced last, or the one after it', {
    timeout: 900_000,
  }, async () => {
    let interrupted = 0;
    let done = 0;
    const lane = async (number: number) => {
      const random = new Random(20, number);
      const run = new RunFolder(join(root, `lane-${number}`));
      const folder = run.checkpoints;
      mkdirSync(folder, { recursive: true });
      for (let kill = 0; kill < KILLS / LANES || (interrupted < HITS && done < 5 * KILLS); kill++) {
        const child = spawn(process.execPath, [writer, folder], {
          stdio: ['ignore', 'pipe', 'inherit'],
          env: { ...process.env, NODE_COMPILE_CACHE: join(root, 'compiled') },
        });
        let said = '';
        child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
        // A writer that cannot even begin must not be waited for.
        await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
        expect(child.exitCode, 'the writer ended by itself').toBeNull();
        await setTimeout(random.uniform() * 12);
        child.kill('SIGKILL');
        await once(child, 'close');
        expect(child.signalCode).toBe('SIGKILL');
        const announced = Number(said.trimEnd().split('\n').at(-1));
        const left = readdirSync(folder).filter((name) => name.endsWith('.tmp'));
        if (left.length > 0) interrupted++;
        using _scope = new Scope();
        expectState(
          loadNewestCheckpoint<{ step: number }>(folder, (path) => expect.fail(`${path} is damaged`)),
          [announced, announced + 1],
        );
        // What was half written goes when somebody takes the folder.
        run.lock()[Symbol.dispose]();
        expect(readdirSync(folder).filter((name) => !name.endsWith('.safetensors'))).toEqual([]);
        done++;
      }
    };
    await Promise.all(Array.from({ length: LANES }, (_, number) => lane(number)));
    expect(done).toBeGreaterThanOrEqual(KILLS);
    expect(interrupted).toBeGreaterThanOrEqual(HITS);
  });
});

describe('damaged checkpoints', () => {
  const folder = join(root, 'damaged');
  const file = (step: number) => join(folder, `step-${String(step).padStart(9, '0')}.safetensors`);

  beforeAll(() => {
    for (const step of [1, 2, 3]) tidy(() => saveCheckpoint(folder, step, stateOf(step)));
  });

  /** Loads the newest of a copy whose newest file `change` has changed; the reasons that were told. */
  function loadChanged(change: (path: string) => void): { step: number; notices: string[] } {
    const copy = mkdtempSync(join(root, 'copy-'));
    for (const step of [2, 3]) copyFileSync(file(step), join(copy, `step-00000000${step}.safetensors`));
    change(join(copy, 'step-000000003.safetensors'));
    const notices: string[] = [];
    using _scope = new Scope();
    const step = expectState(
      loadNewestCheckpoint<{ step: number }>(copy, (path, reason) => notices.push(`${path}: ${reason}`)),
      [2, 3],
    );
    return { step, notices };
  }

  test('only the two newest are kept', () => {
    expect(readdirSync(folder).sort()).toEqual(['step-000000002.safetensors', 'step-000000003.safetensors']);
    expect(loadChanged(() => {})).toEqual({ step: 3, notices: [] });
  });

  test('a flipped bit anywhere is noticed, and the checkpoint before is taken', () => {
    const bytes = readFileSync(file(3));
    const random = new Random(21);
    const places = [
      0,
      7,
      8,
      9,
      bytes.length - 1,
      ...Array.from({ length: 60 }, () => random.below(bytes.length)),
    ];
    for (const place of places) {
      const flipped = Buffer.from(bytes);
      flipped[place]! ^= 1 << random.below(8);
      const { step, notices } = loadChanged((path) => writeFileSync(path, flipped));
      // A name in the header's own white space or a bit that changes nothing that is read would load as 3.
      expect({ place, step }).toEqual({ place, step: 2 });
      expect(notices).toHaveLength(1);
      expect(notices[0]).toContain('step-000000003');
    }
  });

  test('a truncated file is noticed, whatever its length', () => {
    const { length } = readFileSync(file(3));
    for (const size of [0, 1, 7, 8, 100, length >> 1, length - 1]) {
      const { step, notices } = loadChanged((path) => truncateSync(path, size));
      expect({ size, step, notices: notices.length }).toEqual({ size, step: 2, notices: 1 });
    }
  });

  test('another file under the name of a checkpoint says what it is not', () => {
    const { notices } = loadChanged((path) => writeFileSync(path, 'PK\u0003\u0004 not a checkpoint'));
    expect(notices[0]).toContain('step-000000003');
  });

  test('where none is whole there is none', () => {
    const empty = mkdtempSync(join(root, 'none-'));
    expect(loadNewestCheckpoint(empty)).toBeNull();
    expect(loadNewestCheckpoint(join(empty, 'absent'))).toBeNull();
    writeFileSync(join(empty, 'step-000000001.safetensors'), '');
    const notices: string[] = [];
    expect(loadNewestCheckpoint(empty, (path) => notices.push(path))).toBeNull();
    expect(notices).toHaveLength(1);
  });

  test('loading one by name raises, and leaves no tensor behind', () => {
    const path = join(root, 'flipped.safetensors');
    const bytes = readFileSync(file(3));
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(path, bytes);
    const before = unreleased();
    expect(() => loadCheckpoint(path)).toThrow(
      expect.objectContaining({
        code: 'training/checkpoint',
        message: expect.stringContaining('does not match its hash'),
      }),
    );
    expect(unreleased()).toBe(before);
    expect(existsSync(path)).toBe(true);
  });
});
