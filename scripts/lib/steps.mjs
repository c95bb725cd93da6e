/** The steps of the set-up, in order. Each says when it is done, and does its work so that a cut leaves no false "done". */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, renameSync, rmSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { runLogged } from './child.mjs';
import { SetupError } from './errors.mjs';
import { findLibTorch, isUnchanged } from './libtorch.mjs';
import {
  addonFile,
  findNode,
  inPackage,
  isClone,
  libTorchFolder,
  libTorchRecord,
  mainFile,
  oldestNode,
  root,
  stampFolder,
} from './paths.mjs';
import {
  clearStamp,
  filesBelow,
  hashInputs,
  isFresh,
  readText,
  writeAtomically,
  writeStamp,
} from './stamp.mjs';

/**
 * @typedef {object} Step
 * @property {string} title
 * @property {() => boolean} isDone   cheap, no network
 * @property {(say: (line: string) => void) => Promise<string>} run   returns what was done, in a few words
 */

const native = join(root, 'native');
const generator = join(root, 'scripts/generate-ops.mjs');
const generated = join(root, 'src/torch/generated');
const log = (name) => join(stampFolder, `${name}.log`);

/** First of all: nobody should wait for a download to learn that a compiler is missing. @type {Step} */
const tools = {
  title: 'build tools',
  isDone: () => addon.isDone(),
  run: async () => checkTools(),
};

/** @type {Step} */
const packages = {
  title: 'npm packages',
  isDone: installedMatchesLock,
  async run() {
    // The npm that runs this script, where there is one; development packages also where NODE_ENV says production.
    const npmScript = process.env.npm_execpath;
    const [command, first] = npmScript?.endsWith('npm-cli.js')
      ? [process.execPath, [npmScript]]
      : ['npm', []];
    await runLogged(
      command,
      [...first, 'ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund'],
      {
        cwd: root,
        log: log('npm'),
        what: 'npm ci',
      },
    );
    if (!installedMatchesLock())
      throw new SetupError('npm ci ended well but node_modules differs from package-lock.json');
    return 'installed from package-lock.json';
  },
};

/** @type {Step} */
const node = {
  title: 'Node',
  isDone: () => findNode() !== undefined,
  async run() {
    throw new SetupError(
      `Node ${oldestNode} or later is missing: this one is ${process.versions.node} and the optional npm package node-linux-${process.arch} is not installed; run npm ci, or install a newer Node`,
    );
  },
};

/** @type {Step} */
const libTorch = {
  title: 'LibTorch',
  isDone() {
    const record = readLibTorch();
    return record !== undefined && isUnchanged(record) && isSameRequest(record.request, process.env);
  },
  async run(say) {
    const found = await findLibTorch({
      env: process.env,
      cache: libTorchFolder,
      log: log('pip'),
      say,
    });
    writeAtomically(
      libTorchRecord,
      `${JSON.stringify({ ...found, request: request(process.env) }, undefined, 2)}\n`,
    );
    return describe(found);
  },
};

/** @type {Step} */
const addon = {
  title: 'add-on',
  isDone: () => isFresh(stampFolder, 'addon', addonKey(), [addonFile]),
  async run() {
    const key = addonKey();
    const found = readLibTorch();
    const headers = inPackage('node-api-headers', 'include');
    if (headers === undefined) throw new SetupError('the npm package node-api-headers is missing: npm ci');
    clearStamp(stampFolder, 'addon');
    // A kill (-9) in the middle of a write can leave an object file that make takes for finished. The mark says that
    // a build did not come to its end, good or bad, so that the next one starts anew.
    const folder = join(dirname(addonFile), 'cmake');
    const mark = join(dirname(addonFile), 'unfinished');
    if (existsSync(mark) || !existsSync(join(folder, 'Makefile')))
      rmSync(folder, { recursive: true, force: true });
    writeAtomically(mark, '');
    const options = { cwd: root, log: log('addon'), what: 'building the add-on' };
    try {
      await runLogged(
        'cmake',
        [
          ...['-S', native, '-B', folder, '-G', 'Unix Makefiles', '-DCMAKE_BUILD_TYPE=Release'],
          `-DPENUMBRA_TORCH_INCLUDE=${found.include}`,
          `-DPENUMBRA_TORCH_LIB=${found.lib}`,
          `-DPENUMBRA_TORCH_CXX11_ABI=${found.cxx11abi}`,
          `-DPENUMBRA_NODE_API_INCLUDE=${headers}`,
        ],
        options,
      );
      await runLogged('cmake', ['--build', folder, '-j2'], { ...options, append: true });
    } catch (error) {
      // An ordinary compile error: make has cleaned up after itself. (Killed, the mark stays.)
      if (error instanceof SetupError && / \(exit code /.test(error.message)) rmSync(mark, { force: true });
      throw error;
    }
    // A process that has the old add-on loaded keeps its file.
    copyFileSync(join(folder, 'penumbra.node'), `${addonFile}.tmp`);
    renameSync(`${addonFile}.tmp`, addonFile);
    rmSync(mark, { force: true });
    writeStamp(stampFolder, 'addon', key, [addonFile]);
    return 'built';
  },
};

/** @type {Step} */
const operators = {
  title: 'typed operators',
  isDone: () => isFresh(stampFolder, 'operators', operatorsKey(), [generated]),
  async run() {
    clearStamp(stampFolder, 'operators');
    const key = operatorsKey();
    await runLogged(findNode(), [generator], {
      cwd: root,
      log: log('operators'),
      what: 'generating the typed operators',
    });
    if (filesBelow(generated).length === 0)
      throw new SetupError(`the generator wrote nothing; its log: ${log('operators')}`);
    writeStamp(stampFolder, 'operators', key, [generated]);
    return `from the schemas of LibTorch ${readLibTorch().version}`;
  },
};

/** @type {Step} */
const typeScript = {
  title: 'TypeScript',
  isDone: () => isFresh(stampFolder, 'typescript', typeScriptKey(), [mainFile]),
  async run() {
    // In place, not in a temporary folder: a run that is under way loads its verbs late and must find them. The stamp
    // is gone while the compiler writes, so nobody starts on a half-written `dist`.
    clearStamp(stampFolder, 'typescript');
    const key = typeScriptKey();
    await runLogged(findNode(), [inPackage('typescript', 'bin/tsc'), '-p', 'tsconfig.json'], {
      cwd: root,
      env: projectEnv(),
      log: log('typescript'),
      what: 'the TypeScript build',
    });
    removeStale(join(root, 'dist'), join(root, 'src'));
    writeStamp(stampFolder, 'typescript', key, [mainFile]);
    return 'compiled to dist';
  },
};

/**
 * What a verb needs that never loads the engine. Without the typed operators, which only the engine can tell, the sources
 * are compiled unchecked; a full set-up compiles them anew. @type {Step}
 */
export const sources = {
  title: 'TypeScript',
  isDone: () => typeScript.isDone() || isFresh(stampFolder, 'sources', typeScriptKey(), [mainFile]),
  async run(say) {
    if (existsSync(generated) && filesBelow(generated).length > 0) return await typeScript.run(say);
    clearStamp(stampFolder, 'sources');
    const key = typeScriptKey();
    await runLogged(
      findNode(),
      [inPackage('typescript', 'bin/tsc'), '-p', 'tsconfig.json', '--noCheck', '--declaration', 'false'],
      { cwd: root, env: projectEnv(), log: log('typescript'), what: 'the TypeScript build' },
    );
    removeStale(join(root, 'dist'), join(root, 'src'));
    writeStamp(stampFolder, 'sources', key, [mainFile]);
    return 'compiled to dist, for what needs no engine';
  },
};

/**
 * The published package comes compiled and with its packages beside it: there the operators' types are those of the
 * pinned LibTorch, and only the library and the add-on are this machine's.
 * @type {Step[]}
 */
export const steps = isClone
  ? [tools, packages, node, libTorch, addon, operators, typeScript]
  : [tools, node, libTorch, addon];

/** Without LibTorch and the add-on. @type {Step[]} */
export const plainSteps = isClone ? [packages, node, sources] : [node];

/** The LibTorch that the set-up found, or undefined before it ran. */
export function readLibTorch() {
  const text = readText(libTorchRecord);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The environment for the project's own tools: its Node and its programs first on PATH. */
export function projectEnv() {
  const folders = [dirname(findNode()), join(root, 'node_modules/.bin'), process.env.PATH ?? ''];
  return { ...process.env, PATH: folders.join(delimiter) };
}

export function describe(found) {
  const origin = {
    environment: 'PENUMBRA_LIBTORCH',
    python: "Python's PyTorch",
    system: 'system',
    pip: 'pip',
  }[found.source];
  return `${found.version}${found.cuda ? ' with CUDA' : ''}, ${origin}, ${found.root}`;
}

/**
 * npm writes node_modules/.package-lock.json last. The packages are right when it agrees with package-lock.json on
 * everything but optional packages of other platforms; so an `npm install` by hand counts as well.
 */
function installedMatchesLock() {
  try {
    const wanted = JSON.parse(readText(join(root, 'package-lock.json')) ?? '').packages;
    const installed = JSON.parse(readText(join(root, 'node_modules/.package-lock.json')) ?? '').packages;
    return Object.entries(wanted).every(([path, entry]) => {
      if (path === '') return true;
      const present = installed[path];
      if (present === undefined) return entry.optional === true || entry.devOptional === true;
      return present.version === entry.version && present.integrity === entry.integrity;
    });
  } catch {
    return false;
  }
}

/** What the user asked for. A later shell that asks for nothing in particular keeps what was found. */
function request(env) {
  return {
    libTorch: env.PENUMBRA_LIBTORCH ?? '',
    python: env.PENUMBRA_PYTHON ?? '',
    index: env.PENUMBRA_TORCH_INDEX_URL ?? '',
  };
}

function isSameRequest(before, env) {
  const now = request(env);
  // `auto` asks for a new search, every time it is set.
  if (now.libTorch === 'auto') return false;
  return Object.entries(now).every(([name, value]) => value === '' || value === before?.[name]);
}

function addonKey() {
  const found = readLibTorch();
  return hashInputs({
    paths: [native, inPackage('node-api-headers', 'package.json') ?? ''],
    words: [found?.root ?? '', found?.identity ?? ''],
  });
}

/** The generator reads the schemas through the add-on: what it writes depends on the library, the add-on and itself. */
function operatorsKey() {
  const found = readLibTorch();
  return hashInputs({ paths: [generator, native], words: [found?.version ?? '', found?.identity ?? ''] });
}

function typeScriptKey() {
  return hashInputs({
    paths: [
      join(root, 'src'),
      join(root, 'tsconfig.json'),
      join(root, 'package.json'),
      join(root, 'package-lock.json'),
    ],
    accept: (path) => !path.endsWith('.test.ts'),
  });
}

/** Says all that is missing in one line, so that one apt-get mends it. */
export function checkTools() {
  const required = [
    { command: process.env.CXX || 'g++', needs: [11, 0], debian: 'g++' },
    { command: 'cmake', needs: [3, 18], debian: 'cmake' },
    { command: 'make', needs: [4, 0], debian: 'make' },
  ];
  const present = [];
  const problems = [];
  const toInstall = [];
  for (const { command, needs, debian } of required) {
    const { status, stdout } = spawnSync(command, ['--version'], { encoding: 'utf8' });
    // The version stands at the end of the first line; a distribution's own number may stand in parentheses before it.
    const line = status === 0 ? stdout.split('\n', 1)[0] : undefined;
    const version = line?.match(/(\d+)\.(\d+)[.\d]*\s*$/) ?? line?.match(/(\d+)\.(\d+)/);
    // clang counts differently; 14 is the first that takes the C++20 in use.
    const [major, minor] = line !== undefined && /clang/.test(line) ? [14, 0] : needs;
    if (line === undefined) problems.push(`${command} is missing`);
    else if (version && (Number(version[1]) - major || Number(version[2]) - minor) < 0) {
      problems.push(`${command} is ${version[0].trim()}, ${major}.${minor} or later is needed`);
    } else {
      present.push(`${command} ${version?.[0].trim() ?? ''}`.trimEnd());
      continue;
    }
    toInstall.push(debian);
  }
  if (problems.length > 0)
    throw new SetupError(`${problems.join(', ')}: apt-get install ${toInstall.join(' ')}`);
  return present.join(', ');
}

/** Removes compiled files whose source is gone; else a deleted verb would live on. */
function removeStale(dist, src) {
  for (const file of filesBelow(dist)) {
    const stem = file.slice(dist.length).replace(/(\.d\.ts|\.js|\.js\.map)$/, '');
    if (!existsSync(`${src}${stem}.ts`)) rmSync(file);
  }
}
