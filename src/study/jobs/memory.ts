/** Memory of this machine and of processes, in bytes. */
import { readFileSync } from 'node:fs';
import { freemem, totalmem } from 'node:os';

/**
 * What new processes can have without driving others out: the kernel's estimate (`MemAvailable`), and where a container
 * has a limit, what is left of that. Files that the kernel only keeps in case somebody reads them again count as free.
 */
export function freeMemory(): number {
  const limit = process.constrainedMemory();
  if (limit <= 0 || limit >= totalmem()) return freemem();
  const used = number(read('/sys/fs/cgroup/memory.current'));
  if (used === undefined) return Math.min(freemem(), process.availableMemory());
  const kept = number(/^inactive_file (\d+)$/m.exec(read('/sys/fs/cgroup/memory.stat') ?? '')?.[1]) ?? 0;
  return Math.max(0, Math.min(freemem(), limit - used + kept));
}

/** What a process holds, and the most that it has held; undefined where it is gone. */
export function memoryOf(pid: number): { readonly now: number; readonly peak: number } | undefined {
  const status = read(`/proc/${pid}/status`) ?? '';
  const kilobytes = (name: string) => number(new RegExp(`^${name}:\\s*(\\d+) kB$`, 'm').exec(status)?.[1]);
  const [now, peak] = [kilobytes('VmRSS'), kilobytes('VmHWM')];
  return now === undefined || peak === undefined ? undefined : { now: now * 1024, peak: peak * 1024 };
}

export function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

function number(text: string | undefined): number | undefined {
  return text === undefined || text.trim() === '' || !Number.isFinite(Number(text))
    ? undefined
    : Number(text);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
