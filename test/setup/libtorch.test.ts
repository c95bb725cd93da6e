import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { findLibTorch, inspect, isUnchanged } from '../../scripts/lib/libtorch.mjs';
import { temporaryFolder, writeTree } from './temporary.ts';

/** The start of an ELF file for a processor: magic, 64 bit, little-endian, and e_machine at byte 18. */
function elf(machine: number): Uint8Array {
  const header = new Uint8Array(64);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header[18] = machine;
  return header;
}

const own = process.arch === 'arm64' ? 0xb7 : 0x3e;
const foreign = process.arch === 'arm64' ? 0x3e : 0xb7;

interface Fake {
  version?: string;
  cuda?: boolean;
  machine?: number;
  headers?: boolean;
  lib?: string;
  more?: Record<string, string | Uint8Array>;
}

/** A tree that looks like a torch package as far as the finder looks. */
function fakeTorch(
  root: string,
  { version = '2.13.0', cuda = false, machine = own, headers = true, lib = 'lib', more = {} }: Fake = {},
) {
  writeTree(root, {
    [`${lib}/libtorch_cpu.so`]: elf(machine),
    'version.py': `from typing import Optional\n__version__ = '${version}'\n`,
    ...(headers ? { 'include/ATen/core/dispatch/Dispatcher.h': '' } : {}),
    ...(cuda ? { [`${lib}/libtorch_cuda.so`]: elf(machine) } : {}),
    ...more,
  });
  return root;
}

/**
 * A `python3` that names a torch folder, and whose pip (where it has one) copies a prepared wheel to its --target and
 * writes down how it was called.
 */
function fakePython(folder: string, options: { torch?: string; wheel?: string }) {
  const { torch = '', wheel } = options;
  const calls = join(folder, 'pip-calls');
  const pip =
    wheel === undefined
      ? 'exit 1'
      : `[ "$3" = --version ] && exit 0
echo "$@" >> '${calls}'
[ "$3" = download ] && exit 0
while [ "$1" != --target ]; do shift; done
mkdir -p "$2" && cp -r '${wheel}/.' "$2"`;
  const script = `#!/bin/sh\nif [ "$1" = -c ]; then echo '${torch}'; exit 0; fi\n${pip}\n`;
  writeTree(folder, { 'bin/python3': script }, 0o755);
  return {
    path: `${join(folder, 'bin')}:/usr/bin:/bin`,
    calls: () => readFileSync(calls, 'utf8').trim().split('\n'),
  };
}

function search(folder: string, env: NodeJS.ProcessEnv, systemRoots: string[] = []) {
  const lines: string[] = [];
  const options = { env, cache: join(folder, 'cache'), log: join(folder, 'pip.log'), systemRoots };
  return { lines, found: findLibTorch({ ...options, say: (line) => lines.push(line) }) };
}

describe('the order of the search', () => {
  test('environment, Python, CMAKE_PREFIX_PATH, system, pip: each wins over all after it', async () => {
    const folder = temporaryFolder();
    const explicit = fakeTorch(join(folder, 'explicit'));
    const python = fakePython(folder, {
      torch: fakeTorch(join(folder, 'site/torch')),
      wheel: join(folder, 'wheel'),
    });
    const without = fakePython(join(folder, 'without'), { wheel: join(folder, 'wheel') });
    const prefix = fakeTorch(join(folder, 'prefix'));
    const system = fakeTorch(join(folder, 'system'));
    fakeTorch(join(folder, 'wheel/torch'));

    const all = {
      PATH: python.path,
      CMAKE_PREFIX_PATH: `${join(folder, 'no')}:${prefix}`,
      PENUMBRA_LIBTORCH: explicit,
    };
    const { PENUMBRA_LIBTORCH: _, ...fromPython } = all;
    const fromPrefix = { ...fromPython, PATH: without.path };
    const bare = { PATH: without.path };
    const place = async (env: NodeJS.ProcessEnv, roots: string[]) => {
      const { root, source } = await search(folder, env, roots).found;
      return [source, root];
    };
    expect(await place(all, [system])).toEqual(['environment', explicit]);
    expect(await place(fromPython, [system])).toEqual(['python', join(folder, 'site/torch')]);
    expect(await place({ ...fromPython, PENUMBRA_LIBTORCH: 'auto' }, [system])).toEqual([
      'python',
      join(folder, 'site/torch'),
    ]);
    expect(await place(fromPrefix, [system])).toEqual(['system', prefix]);
    expect(await place(bare, [system])).toEqual(['system', system]);
    expect(await place(bare, [])).toEqual(['pip', join(folder, 'cache/2.13.0/torch')]);
  });

  test('PENUMBRA_PYTHON is asked instead of python3', async () => {
    const folder = temporaryFolder();
    const first = fakePython(join(folder, 'a'), { torch: fakeTorch(join(folder, 'a/torch')) });
    fakePython(join(folder, 'b'), { torch: fakeTorch(join(folder, 'b/torch')) });
    const env = { PATH: first.path, PENUMBRA_PYTHON: join(folder, 'b/bin/python3') };
    expect((await search(folder, env).found).root).toBe(join(folder, 'b/torch'));
  });

  test("CMAKE_PREFIX_PATH may be PyTorch's own share/cmake", async () => {
    const folder = temporaryFolder();
    const root = fakeTorch(join(folder, 'torch'));
    const { path } = fakePython(folder, {});
    const env = { PATH: path, CMAKE_PREFIX_PATH: join(root, 'share/cmake') };
    expect((await search(folder, env).found).root).toBe(root);
  });

  test('what does not fit is passed over, with a line that says why', async () => {
    const folder = temporaryFolder();
    const { path } = fakePython(folder, { torch: fakeTorch(join(folder, 'old'), { version: '2.5.1' }) });
    const roots = [
      fakeTorch(join(folder, 'foreign'), { machine: foreign }),
      fakeTorch(join(folder, 'headless'), { headers: false }),
      join(folder, 'nothing'),
      fakeTorch(join(folder, 'good'), { version: '2.6.0+cu124', cuda: true }),
    ];
    const { lines, found } = search(folder, { PATH: path }, roots);
    expect(await found).toMatchObject({ root: join(folder, 'good'), version: '2.6.0+cu124', cuda: true });
    expect(lines).toEqual([
      `passed over PyTorch in ${join(folder, 'old')}: it is 2.5.1, Penumbra needs 2.6 or later`,
      `passed over LibTorch in ${join(folder, 'foreign')}: it is built for another processor than this Node (${process.arch})`,
      `passed over LibTorch in ${join(folder, 'headless')}: its headers (include/ATen) are missing`,
    ]);
  });
});

describe('an explicit wish that cannot be met is an error, not a silent second choice', () => {
  test('PENUMBRA_LIBTORCH', async () => {
    const folder = temporaryFolder();
    const { path } = fakePython(folder, { torch: fakeTorch(join(folder, 'torch')) });
    const old = fakeTorch(join(folder, 'old'), { version: '1.13.1' });
    await expect(search(folder, { PATH: path, PENUMBRA_LIBTORCH: folder }).found).rejects.toThrow(
      `PENUMBRA_LIBTORCH=${folder}: there is no lib/libtorch_cpu.so in it`,
    );
    await expect(search(folder, { PATH: path, PENUMBRA_LIBTORCH: old }).found).rejects.toThrow(
      'it is 1.13.1',
    );
  });

  test('PENUMBRA_PYTHON', async () => {
    const folder = temporaryFolder();
    const { path } = fakePython(folder, { torch: fakeTorch(join(folder, 'torch')) });
    const env = { PATH: path, PENUMBRA_PYTHON: join(folder, 'no-python') };
    await expect(search(folder, env).found).rejects.toThrow('no-python does not run (ENOENT)');
  });
});

describe('pip', () => {
  test('installs the pinned version without its dependencies, once', async () => {
    const folder = temporaryFolder();
    fakeTorch(join(folder, 'wheel/torch'));
    const python = fakePython(folder, { wheel: join(folder, 'wheel') });
    const first = await search(folder, { PATH: python.path }).found;
    const second = await search(folder, { PATH: python.path }).found;
    expect(second).toEqual(first);
    expect(python.calls()).toHaveLength(2);
    expect(python.calls()[0]).toMatch(/pip download .*--no-deps --dest \S+ torch==2\.13\.0$/);
    // Verified by hashes that lie in the repository.
    const list = /--no-deps --no-index --find-links \S+ --require-hashes -r (\S+)$/.exec(
      python.calls()[1]!,
    )?.[1];
    const pinned = readFileSync(list!, 'utf8').replace(/^#.*\n/gm, '');
    expect(pinned).toMatch(/^torch==2\.13\.0( \\\n {4}--hash=sha256:[0-9a-f]{64}){11}\n$/);
    expect(python.calls().join()).not.toContain('--index-url');
  });

  test("brings the CUDA build's own requirements along", async () => {
    const folder = temporaryFolder();
    fakeTorch(join(folder, 'wheel/torch'), { cuda: true });
    const metadata = [
      'Metadata-Version: 2.4',
      'Requires-Dist: sympy>=1.13.3',
      'Requires-Dist: nvidia-cublas-cu13==13.0.0; platform_system == "Linux"',
      'Requires-Dist: optree>=0.13.0; extra == "optree"',
      '',
      'Requires-Dist: in-the-description',
    ];
    writeTree(folder, { 'wheel/torch-2.13.0.dist-info/METADATA': metadata.join('\n') });
    const python = fakePython(folder, { wheel: join(folder, 'wheel') });
    expect(await search(folder, { PATH: python.path }).found).toMatchObject({ cuda: true, source: 'pip' });
    expect(python.calls()).toHaveLength(3);
    expect(python.calls()[2]).toMatch(
      /--no-compile sympy>=1\.13\.3 nvidia-cublas-cu13==13\.0\.0; platform_system == "Linux"$/,
    );
  });

  test('another index is another build, in another folder', async () => {
    const folder = temporaryFolder();
    fakeTorch(join(folder, 'wheel/torch'));
    const python = fakePython(folder, { wheel: join(folder, 'wheel') });
    const usual = await search(folder, { PATH: python.path }).found;
    const other = await search(folder, { PATH: python.path, PENUMBRA_TORCH_INDEX_URL: 'file:///mirror' })
      .found;
    expect(other.root).not.toBe(usual.root);
    expect(python.calls()[2]).toContain('--index-url file:///mirror');
    expect(python.calls()[2]).toMatch(/--no-deps torch==2\.13\.0$/);
    const given = { PENUMBRA_TORCH_INDEX_URL: 'file:///second', PENUMBRA_TORCH_REQUIREMENTS: '/own/list' };
    const third = search(folder, { PATH: python.path, ...given });
    await third.found;
    expect(python.calls()[3]).toContain('--index-url file:///second');
    expect(python.calls()[4]).toMatch(/--require-hashes -r \/own\/list$/);
    expect(third.lines.join()).not.toContain('not verified');
  });

  test('a wheel of another hash is not installed', async () => {
    const folder = temporaryFolder();
    const bin = `#!/bin/sh
[ "$1" = -c ] && exit 0
[ "$3" = --version ] && exit 0
echo 'ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.'; exit 1\n`;
    writeTree(folder, { 'bin/python3': bin }, 0o755);
    const { found } = search(folder, { PATH: `${join(folder, 'bin')}:/usr/bin:/bin` });
    await expect(found).rejects.toThrow(/its hash differs.*nothing was installed/);
  });

  test('where Python or pip is missing, one line says how to get it', async () => {
    const folder = temporaryFolder();
    const { path } = fakePython(folder, {});
    await expect(search(folder, { PATH: path }).found).rejects.toThrow(
      /^LibTorch is not found and python3 has no pip.*apt-get install python3-pip/,
    );
    await expect(search(folder, { PATH: join(folder, 'empty') }).found).rejects.toThrow(
      /python3 is missing.*apt-get install python3 python3-pip/,
    );
  });
});

describe('what is read from a folder', () => {
  test('the version: of a torch package, of an unpacked LibTorch, of a header', () => {
    const folder = temporaryFolder();
    const header = '#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION \\\n  "2.9.1"\n';
    const more = { 'version.py': '', 'include/torch/headeronly/version.h': header };
    const version = (root: string) => inspect(root, 'system').found?.version;
    expect(version(fakeTorch(join(folder, 'package'), { version: '2.10.0+cpu' }))).toBe('2.10.0+cpu');
    expect(version(fakeTorch(join(folder, 'headers'), { more }))).toBe('2.9.1');
    expect(
      version(fakeTorch(join(folder, 'unpacked'), { more: { ...more, 'build-version': '2.8.0+cu128\n' } })),
    ).toBe('2.8.0+cu128');
  });

  test('the C++ ABI: as CMake states it, else from a mangled name', () => {
    const folder = temporaryFolder();
    const abi = (name: string, more: Fake['more']) =>
      inspect(fakeTorch(join(folder, name), { more }), 'system').found?.cxx11abi;
    const cmake = (value: number) => ({
      'share/cmake/Torch/TorchConfig.cmake': `set(TORCH_CXX_FLAGS "-D_GLIBCXX_USE_CXX11_ABI=${value}")`,
    });
    const name = '_ZN3c106detail14torchCheckFailEPKcS2_jRK';
    expect(abi('stated 0', cmake(0))).toBe(0);
    expect(abi('stated 1', cmake(1))).toBe(1);
    expect(abi('old name', { 'lib/libc10.so': `\0${name}Ss\0` })).toBe(0);
    expect(
      abi('new name', { 'lib/libc10.so': `\0${name}NSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE\0` }),
    ).toBe(1);
  });

  test("Debian's multi-arch library folder", () => {
    const lib = process.arch === 'arm64' ? 'lib/aarch64-linux-gnu' : 'lib/x86_64-linux-gnu';
    const root = fakeTorch(temporaryFolder(), { lib });
    expect(inspect(root, 'system').found?.lib).toBe(join(root, lib));
  });

  test('a library that is replaced in its place is noticed, a missing one too', () => {
    const root = fakeTorch(temporaryFolder());
    const { found } = inspect(root, 'system');
    expect(isUnchanged(found!)).toBe(true);
    writeFileSync(join(root, 'lib/libtorch_cpu.so'), 'another build');
    expect(isUnchanged(found!)).toBe(false);
    expect(isUnchanged({ ...found!, lib: join(root, 'gone') })).toBe(false);
  });
});
