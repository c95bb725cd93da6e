import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { PenumbraError } from '../errors.ts';
import { makeFolder, openNew, systemCode, writeAll } from '../files/index.ts';

export interface EventWriterOptions {
  /**
   * The step at which an interrupted run goes on: TensorBoard then forgets what earlier files of the folder say of this
   * step and later ones, so that a resumed run does not draw them twice.
   */
  readonly resumeStep?: number;
  /** Seconds since 1970, for the file's name and events without a time. Default: the clock. */
  readonly now?: () => number;
}

/**
 * Writes scalars where TensorBoard finds them: `events.out.tfevents.<seconds>.penumbra` in the run's folder.
 *
 * The file is a sequence of TFRecords (length, masked CRC32C of the length, data, masked CRC32C of the data; TensorFlow,
 * `core/lib/io/record_writer.h`), each a protobuf `Event` (`core/util/event.proto`), the first of which says
 * `brain.Event:2`. Every call is one append of whole records, so that a killed run loses nothing that was logged.
 *
 * @example
 * using events = new EventWriter('runs/ls');
 * events.scalar('val/ece', 0.041, 440);
 */
export class EventWriter implements Disposable {
  /** The file that is written. */
  readonly path: string;
  private readonly now: () => number;
  private file: number | undefined;

  /** Makes the folder where it is missing; always starts a new file. */
  constructor(folder: string, options: EventWriterOptions = {}) {
    this.now = options.now ?? (() => Date.now() / 1000);
    const time = this.now();
    const start: Buffer[] = [event(time, 0, stringField(FILE_VERSION, 'brain.Event:2'))];
    if (options.resumeStep !== undefined) {
      checkStep(options.resumeStep);
      const started = Buffer.from([varintTag(SESSION_STATUS), SESSION_START]);
      start.push(event(time, options.resumeStep, bytesField(SESSION_LOG, started)));
    }
    makeFolder(folder);
    const opened = openNewest(folder, Math.floor(time));
    this.path = opened.path;
    this.file = opened.file;
    this.append(start);
  }

  /**
   * One number of one curve.
   *
   * @param tag the curve's name; a `/` makes groups: `val/ece`.
   * @param value stored as fp32; NaN and infinities are kept, and shown by TensorBoard as such.
   * @param step a whole number from 0: what is drawn along the horizontal axis.
   * @param wallTime seconds since 1970; default: now.
   *
   * @throws PenumbraError `tensorboard/tag`, `tensorboard/step`, or `tensorboard/closed`.
   */
  scalar(tag: string, value: number, step: number, wallTime?: number): void {
    this.scalars({ [tag]: value }, step, wallTime);
  }

  /** Several curves at the same step, in one event. See {@link EventWriter.scalar}. */
  scalars(values: Readonly<Record<string, number>>, step: number, wallTime?: number): void {
    checkStep(step);
    const parts: Buffer[] = [];
    for (const [tag, value] of Object.entries(values)) {
      if (tag === '') {
        throw new PenumbraError('tensorboard/tag', 'A curve has an empty name.', {
          hint: 'Name it as it shall be shown, for example "val/ece".',
          where: { step },
        });
      }
      parts.push(
        bytesField(
          SUMMARY_VALUE,
          Buffer.concat([stringField(VALUE_TAG, tag), floatField(VALUE_SIMPLE, value)]),
        ),
      );
    }
    if (parts.length === 0) return;
    this.append([event(wallTime ?? this.now(), step, bytesField(SUMMARY, Buffer.concat(parts)))]);
  }

  /** Closes the file. Closing it again does nothing. */
  close(): void {
    if (this.file !== undefined) closeSync(this.file);
    this.file = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  private append(events: readonly Buffer[]): void {
    if (this.file === undefined) {
      throw new PenumbraError('tensorboard/closed', 'This event file has been closed.', {
        hint: 'Make a new EventWriter.',
        where: { file: this.path },
      });
    }
    const bytes = Buffer.concat(events.map(record));
    writeAll(this.file, bytes);
  }
}

/** `data` as a TFRecord: uint64 length, masked CRC32C of these 8 bytes, data, masked CRC32C of the data; little-endian. */
export function record(data: Uint8Array): Buffer {
  const bytes = Buffer.alloc(data.length + 16);
  bytes.writeBigUInt64LE(BigInt(data.length), 0);
  bytes.writeUInt32LE(mask(crc32c(bytes.subarray(0, 8))), 8);
  bytes.set(data, 12);
  bytes.writeUInt32LE(mask(crc32c(data)), data.length + 12);
  return bytes;
}

/** CRC-32C (Castagnoli; RFC 3720, §12.1), reflected, polynomial 0x1EDC6F41. Returns an unsigned 32-bit integer. */
export function crc32c(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < data.length; i++) crc = CRC_TABLE[(crc ^ data[i]!) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** TensorFlow's masking, which keeps a CRC of data that holds CRCs from going wrong (`core/lib/hash/crc32c.h`). */
function mask(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

// Field numbers of Event, SessionLog, Summary and Summary.Value.
const WALL_TIME = 1;
const STEP = 2;
const FILE_VERSION = 3;
const SUMMARY = 5;
const SESSION_LOG = 7;
const SESSION_STATUS = 1;
const SESSION_START = 1;
const SUMMARY_VALUE = 1;
const VALUE_TAG = 1;
const VALUE_SIMPLE = 2;

function event(wallTime: number, step: number, what: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head[0] = (WALL_TIME << 3) | 1;
  head.writeDoubleLE(wallTime, 1);
  // Step 0 is left out, as protobuf does with defaults.
  const at = step === 0 ? Buffer.alloc(0) : Buffer.from([varintTag(STEP), ...varint(step)]);
  return Buffer.concat([head, at, what]);
}

function stringField(field: number, text: string): Buffer {
  return bytesField(field, Buffer.from(text, 'utf8'));
}

function bytesField(field: number, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(field << 3) | 2, ...varint(bytes.length)]), bytes]);
}

function floatField(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes[0] = (field << 3) | 5;
  bytes.writeFloatLE(value, 1);
  return bytes;
}

function varintTag(field: number): number {
  return field << 3;
}

/** Base 128, least significant first. By division: steps may pass 2³¹, where bit operations end. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return bytes;
}

function checkStep(step: number): void {
  if (!Number.isSafeInteger(step) || step < 0) {
    throw new PenumbraError('tensorboard/step', `A step must be a whole number from 0, got ${step}.`, {
      hint: 'Give the number of optimizer steps so far, or the epoch.',
    });
  }
}

/** A file that was not there before: two sessions in one second get two files. */
function openNewest(folder: string, seconds: number): { path: string; file: number } {
  for (let attempt = 0; ; attempt++) {
    const name = `events.out.tfevents.${String(seconds).padStart(10, '0')}.penumbra${attempt === 0 ? '' : `.${attempt}`}`;
    const path = join(folder, name);
    try {
      return { path, file: openNew(path) };
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error;
    }
  }
}
