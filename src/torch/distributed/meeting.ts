import { PenumbraError } from '../../errors.ts';

/** Where the processes of a run meet, and which of them this one is. */
export interface Meeting {
  /** From 0. */
  readonly rank: number;
  /** Processes in all. */
  readonly size: number;
  /** Among those of this machine, from 0. */
  readonly localRank: number;
  /** Processes on this machine, where that is known. */
  readonly localSize?: number;
  /** Of the store. */
  readonly host: string;
  readonly port: number;
  /** Whether rank 0 holds the store; otherwise a launcher does. */
  readonly hosted: boolean;
  /** Tells apart what attempts of the same launcher write into the store. */
  readonly prefix: string;
  /** For people: torchrun, srun, … */
  readonly launcher: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Names under which launchers say the same things, in the order in which they are looked for. */
const launchers = [
  {
    launcher: 'torchrun',
    size: 'WORLD_SIZE',
    rank: 'RANK',
    localRank: 'LOCAL_RANK',
    localSize: 'LOCAL_WORLD_SIZE',
  },
  // Of a step alone: a batch script has SLURM_NTASKS too, and is one process.
  {
    launcher: 'srun',
    size: 'SLURM_STEP_NUM_TASKS',
    rank: 'SLURM_PROCID',
    localRank: 'SLURM_LOCALID',
    localSize: undefined,
  },
  {
    launcher: 'mpirun',
    size: 'OMPI_COMM_WORLD_SIZE',
    rank: 'OMPI_COMM_WORLD_RANK',
    localRank: 'OMPI_COMM_WORLD_LOCAL_RANK',
    localSize: 'OMPI_COMM_WORLD_LOCAL_SIZE',
  },
  {
    launcher: 'mpiexec',
    size: 'PMI_SIZE',
    rank: 'PMI_RANK',
    localRank: 'MPI_LOCALRANKID',
    localSize: 'MPI_LOCALNRANKS',
  },
] as const;

/**
 * What a launcher says in the environment: torchrun (also with its agent's store and its restarts), `srun`, OpenMPI's
 * `mpirun`, MPICH's and Intel's `mpiexec`. Undefined for a process that was started alone, also by one of these.
 * @throws `distributed/environment` where it says half, or nonsense
 */
export function meetingFromEnvironment(env: Environment): Meeting | undefined {
  const names = launchers.find(({ size, rank }) => env[size] !== undefined && env[rank] !== undefined);
  if (names === undefined) return undefined;
  const size = whole(env, names.size, 1, 65_536);
  const rank = whole(env, names.rank, 0, size - 1);
  if (size === 1) return undefined;
  const localRank = env[names.localRank] === undefined ? 0 : whole(env, names.localRank, 0, size - 1);
  const localSize =
    names.localSize === undefined || env[names.localSize] === undefined
      ? undefined
      : whole(env, names.localSize, 1, size);
  const agent = /^(true|1)$/i.test(env.TORCHELASTIC_USE_AGENT_STORE ?? '');
  const attempt = env.TORCHELASTIC_RESTART_COUNT ?? '0';
  return {
    rank,
    size,
    localRank,
    ...(localSize !== undefined && { localSize }),
    host: hostOf(names.launcher, env, localSize === size),
    port: portOf(names.launcher, env),
    hosted: !agent,
    // The agent's store outlives an attempt; torch.distributed writes below the same prefix.
    prefix: agent ? `/worker/attempt_${attempt}` : 'penumbra',
    launcher: names.launcher,
  };
}

function hostOf(launcher: string, env: Environment, oneMachine: boolean): string {
  const given = env.MASTER_ADDR;
  if (given !== undefined && given !== '') return given;
  if (launcher === 'srun') {
    const nodes = env.SLURM_STEP_NODELIST ?? env.SLURM_JOB_NODELIST;
    if (nodes !== undefined) return firstNode(nodes);
  }
  if (oneMachine) return '127.0.0.1';
  throw new PenumbraError(
    'distributed/environment',
    `${launcher} started several processes and does not say where they meet`,
    {
      hint: 'set MASTER_ADDR to the machine of rank 0, for example mpirun -x MASTER_ADDR=node1',
      where: { variable: 'MASTER_ADDR' },
    },
  );
}

/** Given, or the same number on every rank of the job, and another one for another job of the same machine. */
function portOf(launcher: string, env: Environment): number {
  if (env.MASTER_PORT !== undefined && env.MASTER_PORT !== '') return whole(env, 'MASTER_PORT', 1, 65_535);
  const job = [
    env.SLURM_JOB_ID,
    env.SLURM_STEP_ID,
    env.PMIX_NAMESPACE,
    env.OMPI_MCA_ess_base_jobid,
    env.PMI_ID,
  ];
  const known = job.filter((part) => part !== undefined).join('.');
  if (launcher === 'torchrun' || known === '') return 29_500;
  let hash = 7;
  for (const character of known) hash = (Math.imul(hash, 31) + character.charCodeAt(0)) >>> 0;
  return 20_000 + (hash % 10_000);
}

/** The first of `node[01-04,07],gpu3`: `node01`. */
export function firstNode(nodes: string): string {
  const match = /^([^,[]*)(?:\[([^\]]*)\])?([^,]*)/.exec(nodes)!;
  const [, before = '', inside, after = ''] = match;
  return inside === undefined ? before : before + inside.split(/[-,]/)[0] + after;
}

function whole(env: Environment, name: string, min: number, max: number): number {
  const text = env[name] ?? '';
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new PenumbraError(
    'distributed/environment',
    `${name} must be a whole number from ${min} to ${max}, got '${text}'`,
    { where: { variable: name } },
  );
}
