/** The worker thread of `BatchLoader`: takes batch requests in order, answers each when it is made. */
import { parentPort, workerData } from 'node:worker_threads';
import { type BatchRequest, type BatchResult, type ReaderSpec, SampleReader } from './sample-reader.ts';

export interface WorkerData {
  readonly spec: ReaderSpec;
  /** One cell: jobs with a smaller number were cancelled. */
  readonly floor: Int32Array<SharedArrayBuffer>;
}

export type WorkerRequest = ({ readonly job: number } & BatchRequest) | 'stop';
export type WorkerReply = { readonly job: number } & BatchResult;

if (parentPort !== null) {
  const port = parentPort;
  const { spec, floor } = workerData as WorkerData;
  const reader = new SampleReader(spec);
  let last = Promise.resolve();
  port.on('message', (request: WorkerRequest) => {
    last = last.then(async () => {
      if (request === 'stop') {
        port.close(); // Nothing else keeps the thread alive.
        return;
      }
      const { job } = request;
      const result = await reader.read(request, () => Atomics.load(floor, 0) > job);
      port.postMessage({ job, ...result } satisfies WorkerReply);
    });
  });
}
