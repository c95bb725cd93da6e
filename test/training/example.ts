/** The code of docs/own-methods.md, with the project's sources in place of the installed package. */
import { readFileSync } from 'node:fs';

const page = readFileSync(new URL('../../docs/own-methods.md', import.meta.url), 'utf8');
const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  exports: Record<string, { default?: string }>;
};

/** The code blocks, in the order of the page: a method, a network, a program. */
export const [method, network, program] = Array.from(
  page.matchAll(/```ts\n(.*?)```/gs),
  ([, code]) => code!,
) as [string, string, string];

/** A program that imports `penumbra/…` from the sources. */
export function fromSources(code: string): string {
  return code.replace(/from '(penumbra[^']*)'/g, (_, name: string) => {
    const target = manifest.exports[name.replace('penumbra', '.')]!.default!;
    const path = target.replace('./dist/', '../../src/').replace(/\.js$/, '.ts');
    return `from '${new URL(path, import.meta.url).href}'`;
  });
}
