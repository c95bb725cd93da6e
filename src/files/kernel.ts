import { createRequire } from 'node:module';
import { PenumbraError } from '../errors.ts';

/** What Node's own file system lacks: locks of the kernel, and two names that change places in one step. */
interface Kernel {
  /** An exclusive lock on the open file (F_OFD_SETLK). @returns false where somebody else holds it */
  tryLock(file: number): boolean;
  /** renameat2 with RENAME_EXCHANGE. */
  swap(from: string, to: string): Promise<void>;
}

let loaded: Kernel | undefined;

/** Loaded when the first lock is taken: `--help` and reading do without it. */
export function kernel(): Kernel {
  try {
    loaded ??= createRequire(import.meta.url)('fs-native-extensions') as Kernel;
    return loaded;
  } catch (cause) {
    throw new PenumbraError('files/kernel', 'the package fs-native-extensions cannot be loaded', {
      hint: 'install it again: npm ci',
      cause,
    });
  }
}
