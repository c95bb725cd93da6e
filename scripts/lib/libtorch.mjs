/**
 * Finds LibTorch, in this order:
 *   1. `PENUMBRA_LIBTORCH`, a folder with `lib/libtorch_cpu.so` and `include/` (an unpacked LibTorch, or a torch package);
 *   2. the PyTorch of the current Python (`PENUMBRA_PYTHON`, else `python3` on PATH), found without importing it;
 *   3. a system LibTorch (`CMAKE_PREFIX_PATH`, /opt/libtorch, /usr/local, /usr);
 *   4. the pinned PyTorch wheel, installed by pip into the project's cache folder.
 * What is found is used with its own headers. Versions below 2.6 are passed over, with a line that says so.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runLogged } from './child.mjs';
import { SetupError } from './errors.mjs';
import { readText } from './stamp.mjs';

export const pinnedVersion = '2.13.0';
/** Its wheels with their hashes. */
const pinnedRequirements = fileURLToPath(new URL('../torch-requirements.txt', import.meta.url));
const oldest = [2, 6];

/**
 * @typedef {object} LibTorch
 * @property {string} root      the folder that holds it
 * @property {string} lib       the folder of libtorch_cpu.so
 * @property {string} include   the folder of ATen/
 * @property {string} version   as the library states it, e.g. 2.13.0+cpu
 * @property {0 | 1} cxx11abi   the value of _GLIBCXX_USE_CXX11_ABI it was built with
 * @property {boolean} cuda     whether libtorch_cuda.so is there
 * @property {'environment' | 'python' | 'system' | 'pip'} source
 * @property {string} identity  changes when the library is replaced in its place
 */

/**
 * @param {object} options
 * @param {NodeJS.ProcessEnv} options.env
 * @param {string} options.cache         the folder for pip's LibTorch
 * @param {string} options.log           pip's output
 * @param {(line: string) => void} [options.say]
 * @param {string[]} [options.systemRoots]
 * @returns {Promise<LibTorch>}
 */
export async function findLibTorch({ env, cache, log, say = () => {}, systemRoots = defaultSystemRoots }) {
  const chosen = env.PENUMBRA_LIBTORCH;
  if (chosen !== undefined && chosen !== '' && chosen !== 'auto') {
    const result = inspect(resolve(chosen), 'environment');
    if (result.problem !== undefined) throw new SetupError(`PENUMBRA_LIBTORCH=${chosen}: ${result.problem}`);
    return result.found;
  }
  const candidates = [
    ...pythonCandidates(env, say),
    ...systemCandidates(env, systemRoots).map((folder) => ({ folder, source: 'system', what: 'LibTorch' })),
  ];
  for (const { folder, source, what } of candidates) {
    const { found, problem } = inspect(folder, source);
    if (found !== undefined) return found;
    say(`passed over ${what} in ${folder}: ${problem}`);
  }
  return await installWithPip({ env, cache, log, say });
}

/** Whether a record of an earlier search still names the same library. */
export function isUnchanged(found) {
  try {
    return identify(found.lib) === found.identity;
  } catch {
    return false;
  }
}

/**
 * Reads what lies in a folder: the library, or the problem with it in a few words.
 * @returns {{found: LibTorch, problem?: undefined} | {found?: undefined, problem: string}}
 */
export function inspect(root, source) {
  const multiarch = process.arch === 'arm64' ? 'lib/aarch64-linux-gnu' : 'lib/x86_64-linux-gnu';
  const lib = ['lib', 'lib64', multiarch]
    .map((name) => join(root, name))
    .find((folder) => existsSync(join(folder, 'libtorch_cpu.so')));
  if (lib === undefined) return { problem: 'there is no lib/libtorch_cpu.so in it' };
  const include = join(root, 'include');
  if (!existsSync(join(include, 'ATen/core/dispatch/Dispatcher.h'))) {
    return { problem: 'its headers (include/ATen) are missing' };
  }
  const version = readVersion(root);
  if (version === undefined) return { problem: 'its version cannot be read' };
  if (!isSupported(version))
    return { problem: `it is ${version}, Penumbra needs ${oldest.join('.')} or later` };
  const machine = elfMachine(join(lib, 'libtorch_cpu.so'));
  if (machine !== { x64: 0x3e, arm64: 0xb7 }[process.arch]) {
    return { problem: `it is built for another processor than this Node (${process.arch})` };
  }
  const cuda = existsSync(join(lib, 'libtorch_cuda.so'));
  const found = {
    root,
    lib,
    include,
    version,
    cxx11abi: readCxx11Abi(root, lib),
    cuda,
    source,
    identity: identify(lib),
  };
  return { found };
}

const defaultSystemRoots = ['/opt/libtorch', '/usr/local/libtorch', '/usr/local', '/usr'];

function systemCandidates(env, roots) {
  // People point CMake at the prefix, or, as PyTorch's documentation says, at <prefix>/share/cmake.
  const prefixes = (env.CMAKE_PREFIX_PATH ?? '')
    .split(/[:;]/)
    .filter((path) => path !== '')
    .flatMap((path) => [
      path,
      ...(/\/share\/cmake(\/Torch)?\/?$/.test(path) ? [path.replace(/\/share\/cmake.*$/, '')] : []),
    ]);
  return [...prefixes, ...roots].filter((root) => !('problem' in libraryIn(root)));
}

/** A system prefix without any LibTorch is not worth a line. */
function libraryIn(root) {
  const { problem } = inspect(root, 'system');
  return problem?.startsWith('there is no lib/') ? { problem } : {};
}

function pythonCandidates(env, say) {
  const python = pythonCommand(env);
  // find_spec on a top-level name looks for the package and does not run it. From a folder without Python files:
  // the first entry of sys.path is the working directory.
  const program = [
    'import importlib.util',
    's = importlib.util.find_spec("torch")',
    'print(list(s.submodule_search_locations)[0] if s and s.submodule_search_locations else "")',
  ].join('\n');
  const { status, stdout, error } = spawnSync(python, ['-c', program], { env, cwd: '/', encoding: 'utf8' });
  if (status !== 0) {
    if (env.PENUMBRA_PYTHON) {
      throw new SetupError(
        `PENUMBRA_PYTHON=${python} does not run (${error?.code ?? `exit code ${status}`})`,
      );
    }
    return [];
  }
  const folder = stdout.trim().split('\n').at(-1);
  if (folder === '') {
    say(`${python} has no PyTorch`);
    return [];
  }
  return [{ folder, source: 'python', what: 'PyTorch' }];
}

function pythonCommand(env) {
  return env.PENUMBRA_PYTHON || 'python3';
}

/** Installs the pinned wheel into a temporary folder and moves it into its place when it is whole. */
async function installWithPip({ env, cache, log, say }) {
  const index = env.PENUMBRA_TORCH_INDEX_URL;
  // Another index may hold another build of the same version (CPU, CUDA 12, CUDA 13): another folder.
  const name = index
    ? `${pinnedVersion}-${createHash('sha256').update(index).digest('hex').slice(0, 8)}`
    : pinnedVersion;
  const folder = join(cache, name);
  const before = inspect(join(folder, 'torch'), 'pip');
  if (before.found !== undefined) return before.found;

  const python = pythonCommand(env);
  checkPip(python, env);
  mkdirSync(cache, { recursive: true });
  for (const entry of readdirSync(cache)) {
    // What an interrupted run left.
    if (entry.startsWith('.partial-')) rmSync(join(cache, entry), { recursive: true, force: true });
  }
  // Named by process: the pip of a killed set-up may still be writing into its own.
  const partial = join(cache, `.partial-${name}-${process.pid}`);
  const quiet = [
    '--no-input',
    '--disable-pip-version-check',
    '--progress-bar',
    'off',
    '--only-binary',
    ':all:',
  ];
  const source = index ? ['--index-url', index] : [];
  const pip = (args, append) =>
    runLogged(
      python,
      ['-m', 'pip', ...args],
      // Settings that make sense for a user's own installations and forbid --target.
      {
        env: { ...env, PIP_USER: '0', PIP_REQUIRE_VIRTUALENV: '0' },
        cwd: tmpdir(),
        log,
        what: `pip ${args[0]} torch==${pinnedVersion}`,
        append,
      },
    );
  const install = (requirements, append) =>
    pip(['install', ...quiet, '--target', partial, '--no-compile', ...source, ...requirements], append);
  say(`installing torch==${pinnedVersion} with pip into ${folder}`);
  // Verified against hashes in the repository. Wheels of another index have other hashes, which its user may give.
  const list = env.PENUMBRA_TORCH_REQUIREMENTS || (index ? undefined : pinnedRequirements);
  if (list === undefined) {
    say(
      `not verified: ${new URL(index).host} has wheels of its own; PENUMBRA_TORCH_REQUIREMENTS names a file of their hashes`,
    );
  }
  if (list === undefined) await install(['--no-deps', `torch==${pinnedVersion}`], false);
  else {
    // In two steps: asked for hashes, pip passes over the smaller build that a machine may offer in favour of an index.
    const wheels = `${partial}-wheels`;
    try {
      await pip(
        ['download', ...quiet, ...source, '--no-deps', '--dest', wheels, `torch==${pinnedVersion}`],
        false,
      );
      const verified = ['--no-deps', '--no-index', '--find-links', wheels, '--require-hashes', '-r', list];
      await pip(['install', ...quiet, '--target', partial, '--no-compile', ...verified], true);
    } catch (error) {
      if (error instanceof SetupError && /HASHES/i.test(error.details ?? '')) {
        throw new SetupError(
          `the torch wheel that pip fetched is none of those in ${list} (its hash differs): nothing was installed; see ${log}`,
          error.details,
        );
      }
      throw error;
    } finally {
      rmSync(wheels, { recursive: true, force: true });
    }
  }
  if (existsSync(join(partial, 'torch/lib/libtorch_cuda.so'))) {
    // The CUDA build needs NVIDIA's libraries, which are wheels of their own beside it. What it asks for, as it asks.
    say('it is the CUDA build: installing the libraries that it needs (several GB)');
    await install(requirements(partial), true);
  }
  // Python's own part is not needed, but LibTorch's licence and version files are: keep the wheel as it is.
  const { found, problem } = inspect(join(partial, 'torch'), 'pip');
  if (found === undefined) throw new SetupError(`pip installed torch==${pinnedVersion}, but ${problem}`);
  rmSync(folder, { recursive: true, force: true });
  renameSync(partial, folder);
  return inspect(join(folder, 'torch'), 'pip').found;
}

function checkPip(python, env) {
  const { status, error } = spawnSync(python, ['-m', 'pip', '--version'], {
    env,
    cwd: tmpdir(),
    stdio: 'ignore',
  });
  if (error !== undefined) {
    throw new SetupError(
      `LibTorch is not found and ${python} is missing to install it: apt-get install python3 python3-pip, or set PENUMBRA_LIBTORCH to an unpacked LibTorch`,
    );
  }
  if (status !== 0) {
    throw new SetupError(
      `LibTorch is not found and ${python} has no pip to install it: apt-get install python3-pip, or set PENUMBRA_LIBTORCH to an unpacked LibTorch`,
    );
  }
}

/** The wheel's own requirements (core metadata, Requires-Dist); pip evaluates their markers. */
function requirements(folder) {
  const info = readdirSync(folder).find((name) => /^torch-[^-]+\.dist-info$/.test(name));
  const metadata = info === undefined ? undefined : readText(join(folder, info, 'METADATA'));
  if (metadata === undefined) throw new SetupError(`the torch wheel in ${folder} has no METADATA`);
  return [...metadata.split(/\r?\n\r?\n/, 1)[0].matchAll(/^Requires-Dist: (.+?)\r?$/gm)]
    .map((match) => match[1])
    .filter((requirement) => !/\bextra\s*==/.test(requirement));
}

/** A Python package states its version in version.py, an unpacked LibTorch in build-version, both in a header. */
function readVersion(root) {
  const python = readText(join(root, 'version.py'))?.match(/^__version__\s*=\s*['"]([^'"]+)['"]/m)?.[1];
  if (python !== undefined) return python;
  const build = readText(join(root, 'build-version'))?.trim();
  if (build) return build;
  for (const header of ['headeronly/version.h', 'csrc/api/include/torch/version.h']) {
    const text = readText(join(root, 'include/torch', header));
    const version = text?.match(/#define TORCH_VERSION\s*(?:\\\s*)?"([^"]+)"/)?.[1];
    if (version !== undefined) return version;
  }
  return undefined;
}

function isSupported(version) {
  const [major, minor] = version.split('.').map((part) => Number.parseInt(part, 10));
  return major > oldest[0] || (major === oldest[0] && minor >= oldest[1]);
}

/**
 * Older CMake packages state the ABI, that of 2.13 is silent. There the mangled name of an exported function with a
 * std::string argument tells (old ABI: `Ss`).
 */
function readCxx11Abi(root, lib) {
  const cmake = readText(join(root, 'share/cmake/Torch/TorchConfig.cmake'));
  const stated = cmake?.match(/_GLIBCXX_USE_CXX11_ABI=([01])/)?.[1];
  if (stated !== undefined) return Number(stated);
  const c10 = join(lib, 'libc10.so');
  return existsSync(c10) && readFileSync(c10).includes('_ZN3c106detail14torchCheckFailEPKcS2_jRKSs') ? 0 : 1;
}

/** e_machine of the ELF header (bytes 18 and 19), undefined where the file is no ELF file. */
function elfMachine(path) {
  const header = Buffer.alloc(20);
  const file = openSync(path, 'r');
  try {
    readSync(file, header, 0, header.length, 0);
  } finally {
    closeSync(file);
  }
  return header.readUInt32BE(0) === 0x7f454c46 ? header.readUInt16LE(18) : undefined;
}

function identify(lib) {
  const { size, mtimeMs } = statSync(join(lib, 'libtorch_cpu.so'));
  return `${basename(dirname(lib))}/${size}/${mtimeMs}`;
}
