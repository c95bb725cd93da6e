import { PenumbraError } from '../errors.ts';

/**
 * What the system refused, as one line with what to free or change. Codes: `files/disk-full`, `files/read-only`,
 * `files/not-allowed`, `files/name-too-long`, `files/not-found`, `files/exists`, `files/too-many-open`, `files/folder`,
 * `files/failed`. An error that is data already passes through.
 *
 * @param what what was attempted, for the message: `written`, `opened`, `replaced` …
 */
export function fileError(error: unknown, path: string, what: string): PenumbraError {
  if (error instanceof PenumbraError) return error;
  const code = systemCode(error);
  const known = code === undefined ? undefined : reasons[code];
  const [name, reason, hint] = known ?? ['failed', code ?? 'for an unknown reason', undefined];
  return new PenumbraError(`files/${name}`, `${path} cannot be ${what}: ${reason}`, {
    ...(hint !== undefined && { hint }),
    where: { file: path },
    cause: error,
  });
}

/** `ENOSPC`, `EACCES` …: of the error itself or of what caused it. */
export function systemCode(error: unknown): string | undefined {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 4; at = at.cause, depth++) {
    const { code } = at as NodeJS.ErrnoException;
    if (typeof code === 'string' && /^E[A-Z0-9]+$/.test(code)) return code;
  }
  return undefined;
}

const room = 'make room there, or choose a place on another disk; what was there before is untouched';
const reasons: Readonly<Record<string, readonly [string, string, string]>> = {
  ENOSPC: ['disk-full', 'the disk is full', room],
  EDQUOT: ['disk-full', 'your quota of the disk is used up', room],
  EFBIG: [
    'disk-full',
    'the file would become larger than its file system or a limit (ulimit -f) allows',
    room,
  ],
  EROFS: ['read-only', 'the file system is read-only', 'choose a place that can be written to'],
  EACCES: ['not-allowed', 'permission denied', 'change its permissions, or choose another place'],
  EPERM: ['not-allowed', 'the system does not permit it', 'change its permissions, or choose another place'],
  ENAMETOOLONG: ['name-too-long', 'the name is too long', 'choose a shorter name (at most 255 bytes a part)'],
  ENOENT: ['not-found', 'there is nothing of that name', 'check the path'],
  ENOTDIR: ['not-found', 'a part of the path is a file, not a folder', 'check the path'],
  ELOOP: ['not-found', 'its links lead in a circle, or must not be followed', 'name the file itself'],
  EISDIR: ['folder', 'it is a folder', 'name a file'],
  EEXIST: ['exists', 'it exists already', 'choose another name'],
  ENOTEMPTY: ['exists', 'it exists already and is not empty', 'choose another name'],
  EMFILE: ['too-many-open', 'too many files are open', 'raise the limit: ulimit -n 4096'],
  ENFILE: ['too-many-open', 'too many files are open on this machine', 'end other programs'],
  ETXTBSY: ['not-allowed', 'it is being executed', 'choose another name'],
  EIO: [
    'failed',
    'the disk reports an error (EIO)',
    'check the disk; what was written before may be damaged',
  ],
};
