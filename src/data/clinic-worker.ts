/** The worker thread of `writeClinic`: draws one part of the clinic and sends the lines of its tables. */
import { parentPort, workerData } from 'node:worker_threads';
import { PenumbraError } from '../errors.ts';
import type { ClinicOptions, Part } from '../phantom/index.ts';
import { type ClinicRecord, clinicRecords } from './clinic-records.ts';

export interface ClinicWorkerData {
  readonly folder: string;
  readonly options: ClinicOptions;
  readonly part: Part;
}

/** Records, or why there are no more: errors lose their class between threads. */
export type ClinicWorkerReply =
  | readonly ClinicRecord[]
  | { readonly code: string; readonly message: string; readonly hint: string | undefined };

/** Records come in packs: a message each would cost more than the lines. */
const PACK = 64;

if (parentPort !== null) {
  const port = parentPort;
  const { folder, options, part } = workerData as ClinicWorkerData;
  const send = (reply: ClinicWorkerReply) => port.postMessage(reply);
  try {
    let pack: ClinicRecord[] = [];
    for await (const record of clinicRecords(folder, options, part)) {
      pack.push(record);
      if (pack.length < PACK) continue;
      send(pack);
      pack = [];
    }
    send(pack);
  } catch (error) {
    if (!(error instanceof PenumbraError)) throw error;
    send({ code: error.code, message: error.message, hint: error.hint });
  }
}
