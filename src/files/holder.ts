import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** Who holds a lock: the content of a lock file. */
export interface Holder {
  /** Random: tells this holding from every other, of the same process too. */
  readonly token: string;
  readonly host: string;
  /** The kernel's boot: processes with the same one share its locks, whatever container they are in. */
  readonly boot: string;
  readonly pid: number;
  /** The process's PID namespace: a pid means something only inside its own. */
  readonly pidNamespace: string;
  /** When the process started, in clock ticks since boot: a pid is used again, this pair is not. */
  readonly started: string;
  /** ISO 8601. */
  readonly since: string;
}

export function thisHolder(token: string): Holder {
  return {
    token,
    host: hostname(),
    boot: bootId,
    pid: process.pid,
    pidNamespace,
    started: startTime(process.pid) ?? '',
    since: new Date().toISOString(),
  };
}

/** The holder that a lock file names; undefined for an empty, torn or foreign one. */
export function readHolder(text: string): Holder | undefined {
  try {
    const value = JSON.parse(text) as Partial<Holder> | null;
    const whole =
      typeof value?.token === 'string' &&
      typeof value.host === 'string' &&
      typeof value.boot === 'string' &&
      typeof value.pid === 'number';
    return whole ? ({ pidNamespace: '', started: '', since: '', ...value } as Holder) : undefined;
  } catch {
    return undefined;
  }
}

/** `process 12`, `process 12 in another container (db1)`, `process 12 on node7`. */
export function describeHolder(holder: Holder | undefined): string {
  if (holder === undefined) return 'another process';
  if (!isOfThisKernel(holder)) return `process ${holder.pid} on ${holder.host}`;
  if (holder.pidNamespace !== pidNamespace)
    return `process ${holder.pid} in another container (${holder.host})`;
  return `process ${holder.pid}`;
}

export function isOfThisKernel(holder: Holder): boolean {
  return bootId !== '' && holder.boot === bootId;
}

/** Whether the process has surely ended: only what this process can see of its own namespace proves that. */
export function hasEnded(holder: Holder): boolean {
  if (!isOfThisKernel(holder)) {
    // The same machine was started anew since.
    return bootId !== '' && holder.boot !== '' && holder.host === hostname() && !isContainer;
  }
  return holder.pidNamespace === pidNamespace && startTime(holder.pid) !== holder.started;
}

/** Field 22 of proc(5)'s stat; the second field, the name in parentheses, may hold blanks. */
function startTime(pid: number): string | undefined {
  const stat = read(`/proc/${pid}/stat`);
  return stat === '' ? undefined : stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

const bootId = read('/proc/sys/kernel/random/boot_id');
const pidNamespace = link('/proc/self/ns/pid');
/** Names of containers are given again on other machines. The first PID namespace has a fixed number (proc_ns.h). */
const isContainer = pidNamespace !== 'pid:[4026531836]';
