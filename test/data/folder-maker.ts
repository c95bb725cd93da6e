import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const picture = fileURLToPath(new URL('../fixtures/data/grey8.png', import.meta.url));

/** Makes folders of files below one that goes away at `dispose`. */
export function folderMaker(name: string) {
  const root = mkdtempSync(join(tmpdir(), `penumbra-${name}-`));
  let folders = 0;
  return {
    /** A new folder: strings and buffers as they are, `true` for a small picture. */
    make(files: Readonly<Record<string, string | Buffer | true>>): string {
      const folder = join(root, String(folders++));
      for (const [file, content] of Object.entries(files)) {
        const path = join(folder, file);
        mkdirSync(dirname(path), { recursive: true });
        if (content === true) copyFileSync(picture, path);
        else writeFileSync(path, content);
      }
      return folder;
    },
    dispose: () => rmSync(root, { recursive: true }),
  };
}

/** Pictures by their names, for `make`. */
export const pictures = (...names: string[]) =>
  Object.fromEntries(names.map((name) => [name, true as const]));
