/** Several networks of one corpus as one: what one of them makes of unknown wording by chance, the others do not. */
import { PenumbraError } from '../errors.ts';
import { type LoadedRates, loadRates, RateFolder, readSplits, saveWeights } from './folder.ts';
import { RateEnsemble } from './network.ts';

export interface JoinedRates {
  readonly folder: string;
  readonly members: number;
}

/**
 * Writes a folder whose network answers with the mean of several: finished ones that differ in their seeds alone. Their weights are
 * copied; the tokenizer, which is the same, and the splits are the first one's. Deviations are scaled by the mean of
 * their scales, which is too much rather than too little: the errors of a mean are smaller.
 * @throws `rates/join` for fewer than two, for one twice, and for networks that differ in more, naming in what
 */
export function joinRates(paths: readonly string[], out: string): JoinedRates {
  const fail = (what: string, hint: string, file = out) =>
    new PenumbraError('rates/join', what, { hint, where: { file } });
  if (paths.length < 2)
    throw fail('one network is no ensemble', 'name two or three, trained with other seeds');
  const loaded: LoadedRates[] = [];
  try {
    for (const path of paths) loaded.push(loadRates(path));
    const [first] = loaded as [LoadedRates, ...LoadedRates[]];
    loaded.forEach((one, i) => {
      const path = paths[i]!;
      if (one.description.members !== undefined)
        throw fail(`${path} is an ensemble itself`, 'name the networks that it is made of', path);
      if (loaded.findIndex(({ version }) => version === one.version) < i)
        throw fail(`${path} is the same network again`, 'train another: --seed 1', path);
      const difference = differenceOf(first, one);
      if (difference !== undefined)
        throw fail(
          `${path} has other ${difference} than ${paths[0]}`,
          'join networks of one command but for --seed, which also draws the splits where no --splits names them',
          path,
        );
    });
    const folder = new RateFolder(out);
    using lock = folder.lock();
    const ensemble = new RateEnsemble(loaded.map(({ network }) => network));
    const { description, tokenizer } = first;
    folder.begin(
      {
        ...description,
        parameters: ensemble.parameterCount,
        members: loaded.map(({ version, description: own }) => ({ seed: own.config.seed, version })),
      },
      tokenizer,
      readSplits(paths[0]!),
    );
    if (!folder.finished) {
      const scale = loaded.reduce((sum, { deviationScale }) => sum + deviationScale, 0) / loaded.length;
      saveWeights(folder, ensemble, {
        kind: 'rates',
        tokenizer: tokenizer.version,
        deviationScale: String(scale),
      });
      folder.finish({ finished: new Date().toISOString(), steps: 0, seconds: 0 });
    }
    lock.check();
    return { folder: folder.path, members: loaded.length };
  } finally {
    for (const { network } of loaded) network.dispose();
  }
}

/** What two networks must share: a mean of other findings, pieces or shapes means nothing. */
function differenceOf(a: LoadedRates, b: LoadedRates): string | undefined {
  const parts: Readonly<Record<string, (of: LoadedRates['description']) => unknown>> = {
    findings: ({ findings }) => findings,
    'training data': ({ data }) => data.fingerprint,
    tokenizer: ({ tokenizer }) => tokenizer,
    headings: ({ language }) => language,
    sizes: ({ config: { width, depth, heads }, encoder }) => [width, depth, heads, encoder?.sizes],
  };
  return Object.keys(parts).find(
    (name) => JSON.stringify(parts[name]!(a.description)) !== JSON.stringify(parts[name]!(b.description)),
  );
}
