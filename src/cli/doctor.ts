/** `penumbra doctor`: what this machine has, what is missing, and whether the main job can run. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, statfsSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { libTorchRecord, oldestNode } from '../../scripts/lib/paths.mjs';
import { PenumbraError } from '../errors.ts';
import type { EngineInfo } from '../torch/index.ts';

/** Something that is in the way of the main job (`required`) or worth knowing. */
export interface Finding {
  required: boolean;
  /** What is wrong. */
  what: string;
  /** What to do about it. */
  hint: string;
}

export interface Diagnosis {
  /** Whether the main job can run: no finding is `required`. */
  ok: boolean;
  penumbra: { folder: string };
  node: { version: string; path: string; platform: string };
  /** Undefined where the engine does not load; `findings` says why. */
  libtorch: (EngineInfo & { source: string }) | undefined;
  threads: { processors: number; intraop: number | undefined; interop: number | undefined };
  /** Bytes, within the limits of a container. */
  memory: { total: number; available: number };
  /** Free bytes where the run folders are written. */
  disk: { folder: string; free: number };
  /** Parts that some commands use and the main job does not need. */
  optional: { name: string; found: boolean; detail: string }[];
  findings: Finding[];
}

/** What `diagnose` asks of the machine; a test puts its own in place. */
export interface Probes {
  nodeVersion: string;
  /** Loads the engine and uses it; throws where it does not work. */
  engine(): Promise<EngineInfo>;
  /** Loads the image decoder; throws where it does not work. */
  imageDecoder(): Promise<string>;
  /** Where the set-up found LibTorch: `pip`, `python`, `system`, `environment` or `unknown`. */
  libTorchSource(): string;
  /** The folder where the command was started, and where runs are written. */
  folder: string;
  memory(): { total: number; available: number };
  /** The version of PyTorch in `python3`, if any. */
  pyTorch(): string | undefined;
  testData: string | undefined;
}

export async function diagnose(probes: Probes = machine): Promise<Diagnosis> {
  const findings: Finding[] = [];
  const require = (what: string, hint: string) => findings.push({ required: true, what, hint });
  const advise = (what: string, hint: string) => findings.push({ required: false, what, hint });

  if (Number.parseInt(probes.nodeVersion, 10) < oldestNode) {
    require(`Node ${probes.nodeVersion} is too old: ${oldestNode} or later is needed`, 'use `npx penumbra`, which brings its own Node');
  }

  let engine: EngineInfo | undefined;
  try {
    engine = await probes.engine();
  } catch (error) {
    const hint = error instanceof PenumbraError ? error.hint : undefined;
    require(messageOf(error), hint ?? 'run `npx penumbra setup`');
  }
  if (engine?.cuda.problem) {
    advise(
      `LibTorch has CUDA, but it does not load: ${engine.cuda.problem}`,
      'training runs on the CPU; check the NVIDIA driver',
    );
  }

  let decoder: string | undefined;
  try {
    decoder = await probes.imageDecoder();
  } catch (error) {
    require(`the image decoder (sharp) does not load: ${messageOf(error)}`, 'run `npm ci` in the project folder');
  }

  const memory = probes.memory();
  if (memory.available < lowMemory) {
    advise(
      `only ${gibibytes(memory.available)} of memory are available`,
      'close other programs, or use a smaller --batch',
    );
  }
  const disk = { folder: probes.folder, free: freeBytes(probes.folder) };
  try {
    accessSync(probes.folder, constants.W_OK);
    if (disk.free < lowDisk) {
      advise(
        `only ${gibibytes(disk.free)} are free in ${probes.folder}`,
        'runs are written there: make room, or start elsewhere',
      );
    }
  } catch {
    require(`${probes.folder} is not writable, and runs are written there`, 'start penumbra in a folder that you may write to');
  }

  const pyTorch = probes.pyTorch();
  const devices = engine?.cuda.devices ?? 0;
  const optional = [
    {
      name: 'CUDA',
      found: devices > 0,
      detail: devices > 0 ? `${devices} device(s)` : 'training runs on the CPU',
    },
    {
      name: 'fast bfloat16',
      found: engine?.bf16.fast ?? false,
      detail: engine?.bf16.reason ?? 'unknown without the engine',
    },
    {
      name: 'PyTorch in python3',
      found: pyTorch !== undefined,
      detail: pyTorch ?? 'only `npm run bench` can use it, to compare speeds',
    },
    {
      name: 'real test data',
      found: probes.testData !== undefined && existsSync(probes.testData),
      detail: probes.testData ?? 'PENUMBRA_TEST_DATA is not set: tests on real images are skipped, by name',
    },
  ];
  return {
    ok: findings.every((finding) => !finding.required),
    penumbra: { folder: fileURLToPath(projectFolder) },
    node: {
      version: probes.nodeVersion,
      path: process.execPath,
      platform: `${process.platform}-${process.arch}`,
    },
    libtorch: engine && { ...engine, source: probes.libTorchSource() },
    threads: {
      processors: availableParallelism(),
      intraop: engine?.threads,
      interop: engine?.interopThreads,
    },
    memory,
    disk,
    optional:
      decoder === undefined
        ? optional
        : [{ name: 'image decoder', found: true, detail: decoder }, ...optional],
    findings,
  };
}

/** A diagnosis as lines for a person. */
export function formatDiagnosis(diagnosis: Diagnosis): string {
  const { node, libtorch, threads, memory, disk } = diagnosis;
  const rows: [string, string][] = [['Node', `${node.version} (${node.platform}), ${node.path}`]];
  if (libtorch === undefined) rows.push(['LibTorch', 'not usable']);
  else {
    const { cuda } = libtorch;
    rows.push(
      ['LibTorch', `${libtorch.version} (${sources[libtorch.source] ?? libtorch.source}), ${libtorch.path}`],
      [
        'processor',
        `${libtorch.cpuCapability}; BLAS ${libtorch.blas}, oneDNN ${libtorch.mkldnn ? 'yes' : 'no'}`,
      ],
      [
        'CUDA',
        cuda.available ? `${cuda.devices} device(s)` : cuda.problem === '' ? 'no' : 'present, does not load',
      ],
    );
  }
  const inUse =
    threads.intraop === undefined
      ? ''
      : `; LibTorch uses ${threads.intraop} in an operator, ${threads.interop} between`;
  rows.push(
    ['threads', `${threads.processors} processors${inUse}`],
    ['memory', `${gibibytes(memory.available)} available of ${gibibytes(memory.total)}`],
    ['disk', `${gibibytes(disk.free)} free in ${disk.folder}`],
    ...diagnosis.optional
      .filter((part) => part.name !== 'CUDA')
      .map(({ name, found, detail }): [string, string] => [
        name,
        `${found ? 'found' : 'not found'}: ${detail}`,
      ]),
  );
  const width = Math.max(...rows.map(([name]) => name.length));
  const lines = rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`);
  for (const { required, what, hint } of diagnosis.findings) {
    lines.push('', `${required ? 'PROBLEM' : 'note'}: ${what}`, `  hint: ${hint}`);
  }
  lines.push('', diagnosis.ok ? 'The main job can run: npm start' : 'The main job cannot run yet.');
  return lines.join('\n');
}

export function register(program: Command): void {
  program
    .command('doctor')
    .description('Shows what this machine has, what is missing, and whether the main job can run')
    .option('--json', 'print the same as JSON')
    .addHelpText('after', '\nThe exit code is 0 only when the main job can run.')
    .action(async (options: { json?: boolean }) => {
      const diagnosis = await diagnose();
      const text = options.json ? JSON.stringify(diagnosis, undefined, 2) : formatDiagnosis(diagnosis);
      process.stdout.write(`${text}\n`);
      process.exitCode = diagnosis.ok ? 0 : 1;
    });
}

/** For advice only: with less, a training run may make the machine swap. */
const lowMemory = 2 * 2 ** 30;
const lowDisk = 2 ** 30;
const projectFolder = new URL('../../', import.meta.url);

const sources: Record<string, string> = {
  environment: 'PENUMBRA_LIBTORCH',
  python: "Python's PyTorch",
  system: 'of the system',
  pip: 'installed by set-up',
};

const machine: Probes = {
  nodeVersion: process.versions.node,
  async engine() {
    const torch = await import('../torch/index.ts');
    // Loading is not enough: a library for another processor loads, and fails on the first operator.
    torch.tidy(() => {
      const product = torch.aten.mm(torch.tensor([[1, 2]]), torch.tensor([[3], [4]]));
      if (product.item() !== 11)
        throw new PenumbraError('torch/broken', 'LibTorch multiplies wrongly on this machine');
    });
    return torch.engineInfo();
  },
  async imageDecoder() {
    const { default: sharp } = await import('sharp');
    return `sharp ${sharp.versions.sharp}, libvips ${sharp.versions.vips}`;
  },
  libTorchSource() {
    try {
      const record = readFileSync(libTorchRecord, 'utf8');
      return (JSON.parse(record) as { source: string }).source;
    } catch {
      return 'unknown';
    }
  },
  folder: process.cwd(),
  memory() {
    // 0, or more than there is, where no container sets a limit.
    const limit = process.constrainedMemory();
    return {
      total: limit > 0 ? Math.min(limit, totalmem()) : totalmem(),
      available: process.availableMemory(),
    };
  },
  pyTorch() {
    const program = 'import importlib.metadata as m; print(m.version("torch"))';
    const { status, stdout } = spawnSync('python3', ['-c', program], { cwd: '/', encoding: 'utf8' });
    return status === 0 ? stdout.trim() : undefined;
  },
  testData: process.env.PENUMBRA_TEST_DATA,
};

function freeBytes(folder: string): number {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return 0;
  }
}

function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message.split('\n', 1)[0]! : String(error);
}
