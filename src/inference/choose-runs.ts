/** Which runs a path means: a run's folder, or a comparison's or study's with runs inside. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { PenumbraError } from '../errors.ts';
import { RunFolder } from '../training/index.ts';

export interface RunChoice {
  /**
   * Which runs of a comparison or study: `ols-seed0`, `ols` for all its seeds, `knee/resnet10/ols-seed0` or a part of that
   * path, `all`.
   */
  readonly run?: string | undefined;
  /** Whether several runs have a meaning, as an ensemble or one after the other. Default: false. */
  readonly many?: boolean;
}

/** `<set>/<network>/runs/<method>-seed<k>` is the deepest that runs lie. */
const DEEPEST = 4;

/**
 * The run folders that a path means. A run is itself; of a comparison or study those that `run` names, or all where they
 * differ by their seeds only.
 * @returns one folder, or more where `many` allows it; paths as they can be opened
 * @throws `inference/no-run` where there is none, `inference/which-run` where it must be said which
 */
export function chooseRuns(path: string, { run, many = false }: RunChoice = {}): string[] {
  if (isRun(path)) {
    if (run === undefined || run === 'all' || matches(basename(path), run)) return [path];
    throw new PenumbraError('inference/no-run', `${path} is one run, and not ${run}`, {
      hint: 'leave --run out, or name the folder of the comparison or study',
    });
  }
  const found = runsIn(path);
  if (found.length === 0) {
    const there = statSync(path, { throwIfNoEntry: false }) !== undefined;
    throw new PenumbraError(
      'training/run',
      there
        ? `${path} is no run folder: it has no config.json, and no runs inside`
        : `${path} is no run folder: it does not exist`,
      { hint: 'name the folder that `penumbra train`, `compare` or `study` wrote', where: { file: path } },
    );
  }
  const finished = found.filter((name) => new RunFolder(join(path, name)).finished);
  const wanted = finished.filter((name) => run === undefined || run === 'all' || matches(name, run));
  const alike = new Set(wanted.map(withoutSeed)).size === 1;
  if (wanted.length === 1 || (wanted.length > 1 && many && (run === 'all' || alike)))
    return wanted.map((name) => join(path, name));
  throw whichRun(path, { run, many, found, finished, wanted });
}

/** The runs below a folder, by their paths relative to it, without the folders called `runs`. */
function runsIn(root: string): string[] {
  const found: string[] = [];
  const look = (folder: string, depth: number) => {
    for (const name of entriesOf(join(root, folder))) {
      const path = folder === '' ? name : `${folder}/${name}`;
      if (isRun(join(root, path))) found.push(path);
      else if (depth < DEEPEST) look(path, depth + 1);
    }
  };
  look('', 1);
  return found;
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map(({ name }) => name)
      .sort();
  } catch {
    return [];
  }
}

function isRun(path: string): boolean {
  return existsSync(join(path, 'config.json'));
}

/** `knee/resnet10/runs/ols-seed0` by any of its ends, with or without the seed and the folder `runs`. */
function matches(path: string, wanted: string): boolean {
  const words = (text: string) => text.split(/[/\\]/).filter((word) => word !== '' && word !== 'runs');
  const asked = words(wanted);
  const own = words(path);
  if (asked.length === 0 || asked.length > own.length) return false;
  const last = asked.length - 1;
  return own
    .slice(own.length - asked.length)
    .every((word, i) => word === asked[i] || (i === last && withoutSeed(word) === asked[i]));
}

function withoutSeed(name: string): string {
  return name.replace(/-seed\d+$/, '');
}

/** Names that are read: as many as fit on a screen. */
const SHOWN = 20;

function whichRun(
  path: string,
  about: {
    readonly run: string | undefined;
    readonly many: boolean;
    readonly found: readonly string[];
    readonly finished: readonly string[];
    readonly wanted: readonly string[];
  },
): PenumbraError {
  const { run, many, found, finished, wanted } = about;
  const named = (names: readonly string[]) =>
    `${names
      .slice(0, SHOWN)
      .map((name) => shortOf(name))
      .join(', ')}${names.length > SHOWN ? `, … (${names.length})` : ''}`;
  const open = found.length - finished.length;
  const unfinished = open === 0 ? '' : `; ${open} ${open === 1 ? 'is' : 'are'} not finished`;
  if (finished.length === 0) {
    return new PenumbraError(
      'training/unfinished',
      `none of the ${found.length} runs in ${path} is finished`,
      {
        hint: 'go on with the comparison or study: the same command again',
      },
    );
  }
  if (wanted.length === 0) {
    return new PenumbraError('inference/no-run', `${path} has no finished run ${run}${unfinished}`, {
      hint: `it has: ${named(finished)}`,
    });
  }
  return new PenumbraError(
    'inference/which-run',
    `${path} holds ${wanted.length} runs${run === undefined ? '' : ` that are ${run}`}${unfinished}: ${named(wanted)}`,
    {
      hint: many
        ? 'say --run NAME for one, --run METHOD for the ensemble of its seeds, --run all for every run'
        : 'say which with --run NAME',
    },
  );
}

function shortOf(name: string): string {
  return name.replace(/(^|\/)runs\//, '$1');
}
