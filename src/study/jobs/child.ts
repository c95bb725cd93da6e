/** The process that trains runs for another one: see `JobPool`. It ends with that one, however that ends. */
import {
  checkImages,
  type Dataset,
  datasetIdentity,
  openDataset,
  withoutDuplicates,
} from '../../data/index.ts';
import { PenumbraError } from '../../errors.ts';
import { getThreads, setThreads } from '../../torch/index.ts';
import { fit, importCode, importModel, importObjective, timeSteps } from '../../training/index.ts';
import { openStudyData } from '../study-data.ts';
import { errorData, type Job, type JobSource, type Reply, type Request } from './protocol.ts';

interface OpenSet {
  readonly dataset: Dataset;
  readonly path: string;
}

/** LibTorch's own number, for runs that leave it open; another run may have changed it. */
const threads = getThreads();
let sets: ReadonlyMap<string, OpenSet> = new Map();
let stop: AbortController | undefined;

// Ctrl-C in a terminal reaches this process too: the other one says when to stop.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {});
endWithParent();
process.on('message', (request: Request) => {
  if (request.type === 'stop') stop?.abort();
  else
    void answer(request).then(
      (reply) => say(reply),
      (error) => say({ type: 'failed', error: errorData(error) }),
    );
});

async function answer(request: Exclude<Request, { type: 'stop' }>): Promise<Reply> {
  if (request.type === 'open') {
    sets = await open(request.source);
    return { type: 'opened' };
  }
  const { config, folder } = request.job;
  const { dataset, path } = setOf(request.job);
  if (typeof config.threads !== 'number') setThreads(threads);
  if (request.type === 'time') {
    const { imagesPerSecond } = await timeSteps(config, dataset, request.seconds);
    return { type: 'timed', imagesPerSecond };
  }
  stop = new AbortController();
  // biome-ignore lint/suspicious/noFocusedTests: it trains
  const { finished } = await fit({
    config,
    dataset,
    dataPath: path,
    folder,
    signal: stop.signal,
    onEvent: (event) => say({ type: 'fit', event }),
  });
  return { type: 'trained', finished };
}

async function open(source: JobSource): Promise<Map<string, OpenSet>> {
  if (source.kind === 'study') {
    for (const file of source.code) await importCode(file);
    const opened = await openStudyData(source.study);
    return new Map(opened.map(({ id, dataset, path }) => [id, { dataset, path }]));
  }
  for (const objective of source.objectives) await importObjective(objective);
  if (source.model !== undefined) await importModel(source.model);
  const { id, path, options, identity } = source;
  let dataset = openDataset(path, options);
  if (options.skipDuplicates === true && datasetIdentity(dataset) !== identity)
    dataset = withoutDuplicates(dataset, await checkImages(dataset, { most: Number.POSITIVE_INFINITY }));
  if (datasetIdentity(dataset) !== identity) {
    throw new PenumbraError('study/job-data', `${path} is not the data set that the study was started with`, {
      hint: 'leave the data as they are while a study runs; a data set that only this process can make has no --jobs',
    });
  }
  return new Map([[id, { dataset, path }]]);
}

function setOf({ set }: Job): OpenSet {
  const found = sets.get(set);
  if (found === undefined) throw new Error('a run of a set that was not opened');
  return found;
}

function say(reply: Reply): void {
  if (process.connected) process.send!(reply);
}

/**
 * Whoever started this process is gone: nobody would know of it, and it would hold its locks. Heard between two steps;
 * where util-linux's setpriv is there, the kernel ends the process at once (prctl(2), PR_SET_PDEATHSIG).
 */
function endWithParent(): void {
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  if (!process.connected) process.kill(process.pid, 'SIGKILL');
}
