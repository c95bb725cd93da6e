import { lookup } from 'node:dns/promises';
import { connect } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { PenumbraError } from '../../errors.ts';
import { engineInfo } from '../engine.ts';
import type { Meeting } from './meeting.ts';
import { c10d } from './native.ts';
import { ProcessGroup } from './process-group.ts';

export interface JoinOptions {
  /** Seconds that a collective waits for another rank. Longer than anything that one rank does alone. Default: 120. */
  readonly timeout?: number;
  /** Seconds that the ranks wait for each other at the start. Default: 300. */
  readonly joinTimeout?: number;
  readonly signal?: AbortSignal | undefined;
  /** Called once where others are still waited for after five seconds. */
  readonly onWait?: (missing: readonly number[]) => void;
}

/** How a rank presents itself. */
interface Card {
  readonly host: string;
  readonly pid: number;
  readonly size: number;
  readonly libtorch: string;
}

/**
 * Joins the group that a launcher has started processes for. Waits for all of them, and stays interruptible meanwhile.
 * @throws `distributed/join` where ranks are missing in the end, and it says which; `distributed/different` where they have
 * other versions; the reason of an abort
 */
export async function join(meeting: Meeting, options: JoinOptions = {}): Promise<ProcessGroup> {
  const { rank, size, hosted } = meeting;
  const { timeout = 120, joinTimeout = 300, signal } = options;
  const deadline = performance.now() + 1000 * joinTimeout;
  const store = await openStore(meeting, deadline, signal);
  const library = c10d();
  const card: Card = { host: hostname(), pid: process.pid, size, libtorch: engineInfo().version };
  library.storeSet(store, `left/${rank}`, '');
  library.storeSet(store, `beat/${rank}`, '0 0');
  library.storeSet(store, `card/${rank}`, JSON.stringify(card));
  library.storeAdd(store, 'joined', 1);
  await everybody(store, size, deadline, options);
  const cards = Array.from(
    { length: size },
    (_, other) => JSON.parse(library.storeGet(store, `card/${other}`)!) as Card,
  );
  checkAlike(cards);
  const local = cards.every(({ host }) => host === card.host);
  const group = library.joinGroup(
    { store, host: meeting.host, port: meeting.port, prefix: meeting.prefix, hosted },
    rank,
    cards.map(({ host, pid }) => (local ? `process ${pid}` : `process ${pid} on ${host}`)),
    local ? '127.0.0.1' : await ownAddress(meeting),
    1000 * timeout,
  );
  return new ProcessGroup({ rank, size, group, store, hosted });
}

/** Rank 0 opens it where nobody else does; the others try until it is there. */
async function openStore(
  { host, port, hosted, rank, prefix }: Meeting,
  deadline: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  const serves = hosted && rank === 0;
  for (;;) {
    signal?.throwIfAborted();
    if (!serves && !(await reachable(host, port))) {
      if (performance.now() > deadline) throw noStore(host, port);
      await sleep(200, undefined, { signal });
      continue;
    }
    try {
      return c10d().openStore(host, port, serves, prefix, 60_000);
    } catch (cause) {
      if (!(cause instanceof PenumbraError) || cause.code !== 'distributed/peer') throw cause;
      if (serves) {
        throw new PenumbraError(
          'distributed/join',
          `port ${port} cannot be opened for the processes to meet`,
          {
            hint: 'another run may use it: choose another MASTER_PORT',
            cause,
          },
        );
      }
      if (performance.now() > deadline) throw noStore(host, port);
    }
  }
}

/** Whether somebody listens there: c10d's own attempts block, and complain on stderr. */
function reachable(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 2000 });
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.on('connect', () => end(true));
    socket.on('error', () => end(false));
    socket.on('timeout', () => end(false));
  });
}

function noStore(host: string, port: number): PenumbraError {
  return new PenumbraError('distributed/join', `nobody is at ${host}:${port}, where the processes meet`, {
    hint: 'is rank 0 running, and MASTER_ADDR its machine?',
  });
}

async function everybody(
  store: number,
  size: number,
  deadline: number,
  { signal, onWait }: JoinOptions,
): Promise<void> {
  const patience = performance.now() + 5000;
  let told: readonly number[] | undefined;
  const missing = () =>
    Array.from({ length: size }, (_, rank) => rank).filter(
      (rank) => c10d().storeGet(store, `card/${rank}`) === null,
    );
  for (let wait = 10; ; wait = Math.min(250, 2 * wait)) {
    const joined = countJoined(store, size, told);
    if (joined === size) return;
    if (joined > size) {
      throw new PenumbraError(
        'distributed/join',
        `${joined} processes have come to meet, and ${size} were to`,
        {
          hint: 'two runs use the same MASTER_PORT: choose another',
        },
      );
    }
    if (told === undefined && performance.now() > patience) {
      told = missing();
      onWait?.(told);
    }
    if (performance.now() > deadline) throw notCome(missing(), size);
    signal?.throwIfAborted();
    await sleep(wait, undefined, { signal });
  }
}

/** How many have come. Rank 0 keeps the store, and where it gives up first it takes the store with it. */
function countJoined(store: number, size: number, missing: readonly number[] | undefined): number {
  try {
    return c10d().storeAdd(store, 'joined', 0);
  } catch (cause) {
    if (!(cause instanceof PenumbraError) || cause.code !== 'distributed/peer') throw cause;
    if (missing !== undefined) throw notCome(missing, size, cause);
    throw new PenumbraError(
      'distributed/join',
      'the process that keeps the meeting ended before all had come',
      {
        hint: 'look at what rank 0 printed',
        cause,
      },
    );
  }
}

function notCome(missing: readonly number[], size: number, cause?: unknown): PenumbraError {
  const names = `${missing.slice(0, 8).join(', ')}${missing.length > 8 ? ', …' : ''}`;
  return new PenumbraError(
    'distributed/join',
    `${missing.length === 1 ? 'rank' : 'ranks'} ${names} of ${size} did not come`,
    { hint: 'look at what these processes printed; every one must be started', cause },
  );
}

function checkAlike(cards: readonly Card[]): void {
  for (const [rank, card] of cards.entries()) {
    for (const name of ['size', 'libtorch'] as const) {
      if (card[name] === cards[0]![name]) continue;
      const what = name === 'size' ? 'number of processes' : 'LibTorch';
      throw new PenumbraError(
        'distributed/different',
        `rank ${rank} has another ${what} than rank 0: ${card[name]}, not ${cards[0]![name]}`,
      );
    }
  }
}

/**
 * The address under which the other machines reach this one: of the interface that GLOO_SOCKET_IFNAME names, or else of
 * the one that leads to the store. Not what the host's name stands for: that is often 127.0.1.1.
 */
async function ownAddress({ host, port }: Meeting): Promise<string> {
  const named = process.env.GLOO_SOCKET_IFNAME?.split(',')[0];
  const interfaces = networkInterfaces();
  const own = Object.entries(interfaces).flatMap(([name, list]) =>
    (list ?? []).filter(({ family }) => family === 'IPv4').map((entry) => ({ name, ...entry })),
  );
  if (named !== undefined) {
    const found = own.find(({ name }) => name === named);
    if (found !== undefined) return found.address;
    throw new PenumbraError(
      'distributed/environment',
      `GLOO_SOCKET_IFNAME is ${named}, and this machine has no such interface with an IPv4 address`,
      { hint: `it has: ${[...new Set(own.map(({ name }) => name))].join(', ')}` },
    );
  }
  const towards = await localAddress(host, port);
  if (towards !== undefined && !towards.startsWith('127.')) return towards;
  // This machine holds the store.
  const { address } = await lookup(host, { family: 4 });
  if (!address.startsWith('127.')) return address;
  const outward = own.find(({ internal }) => !internal);
  if (outward !== undefined) return outward.address;
  throw new PenumbraError('distributed/join', 'this machine has no address that others could reach', {
    hint: 'name its network interface: GLOO_SOCKET_IFNAME=eth0',
  });
}

function localAddress(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, family: 4, timeout: 5000 });
    const end = (answer: string | undefined) => {
      socket.destroy();
      resolve(answer);
    };
    socket.on('connect', () => end(socket.localAddress));
    socket.on('error', () => end(undefined));
    socket.on('timeout', () => end(undefined));
  });
}
