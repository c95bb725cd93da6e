import type { BrokenFile } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import { type Generator, Scope, type Tensor, tidy } from '../torch/index.ts';
import type { StateDict } from '../torch/nn/index.ts';
import { loadNewestCheckpoint, saveCheckpoint } from './checkpoint.ts';
import type { RunFolder } from './run-folder.ts';
import { alone, type Team } from './team.ts';

/** The part of a run's state that is numbers; saved with every checkpoint. */
export interface Progress {
  /** Epochs finished. */
  epoch: number;
  /** Batches of the running epoch that are done. */
  batch: number;
  /** Optimizer steps so far. */
  step: number;
  /** Sums over the running epoch. */
  lossSum: number;
  correct: number;
  seen: number;
  /** Labels, or known findings, among what was seen: what the sums are divided by. */
  terms: number;
  /** Seconds spent in the running epoch, by all sessions. */
  seconds: number;
  /** Files that could not be read so far. */
  broken: readonly BrokenFile[];
}

export function freshProgress(): Progress {
  return { epoch: 0, batch: 0, step: 0, lossSum: 0, correct: 0, seen: 0, terms: 0, seconds: 0, broken: [] };
}

interface Stateful {
  stateDict(): StateDict;
  loadStateDict(state: StateDict): unknown;
}

/** What differs between the ranks of a team in the middle of an epoch: what each has drawn, and what it has observed. */
const ownOfRank = /^(generator|objective)\./;

/** Everything that a checkpoint holds, under the names that it has there; `rank1.generator.state` is rank 1's own. */
export class RunState {
  private readonly folder: RunFolder;
  private readonly parts: Readonly<Record<string, Stateful>>;
  private readonly generator: Generator;
  private readonly team: Team;

  /**
   * @param parts what remembers tensors, by the prefix of their names: model, optimizer, objective
   * @param team the processes that train the run; each calls the same methods
   */
  constructor(
    folder: RunFolder,
    parts: Readonly<Record<string, Stateful>>,
    generator: Generator,
    team: Team = alone,
  ) {
    this.folder = folder;
    this.parts = parts;
    this.generator = generator;
    this.team = team;
  }

  /** @throws `training/diverged` where a number is not finite: such a state must not take a good one's place */
  save(progress: Progress): void {
    tidy(() => {
      const tensors = new Map<string, Tensor>([['generator.state', this.generator.state]]);
      for (const [part, owner] of Object.entries(this.parts))
        for (const [name, tensor] of owner.stateDict()) tensors.set(`${part}.${name}`, tensor);
      for (const [name, tensor] of this.team.size === 1 ? [] : [...tensors])
        if (ownOfRank.test(name))
          for (const [rank, own] of this.team.gatherTensors(tensor).entries())
            if (rank > 0) tensors.set(`rank${rank}.${name}`, own);
      if (!this.team.leads) return;
      for (const [name, tensor] of tensors)
        if (tensor.dtype.startsWith('float') && !tensor.isfinite().all().item())
          throw diverged(`${name} is not finite after step ${progress.step}`);
      saveCheckpoint(this.folder.checkpoints, progress.step, { progress, tensors });
    });
  }

  /**
   * Loads the newest whole checkpoint into the parts.
   * @returns its progress; null where there is none and the run begins
   */
  resume(onDamaged: (path: string, reason: string) => void): Progress | null {
    using _scope = new Scope();
    const { team } = this;
    const checkpoint = team.leads ? loadNewestCheckpoint<Progress>(this.folder.checkpoints, onDamaged) : null;
    const progress = team.shared(() => checkpoint?.progress ?? null);
    if (progress === null) return null;
    const tensors = team.sharedTensors(() => checkpoint!.tensors);
    const own = (name: string) => tensors.get(`rank${team.rank}.${name}`) ?? tensors.get(name);
    for (const [part, owner] of Object.entries(this.parts)) {
      const names = [...tensors.keys()].filter((name) => name.startsWith(`${part}.`));
      owner.loadStateDict(new Map(names.map((name) => [name.slice(part.length + 1), own(name)!])));
    }
    const state = own('generator.state');
    if (state !== undefined) this.generator.state = state;
    // Runs of one label of K that were begun before findings were trained count what they saw alone.
    return { ...progress, terms: progress.terms ?? progress.seen };
  }
}

export function diverged(what: string): PenumbraError {
  return new PenumbraError('training/diverged', what, {
    hint: 'lower the learning rate or lengthen the warm-up; the last good checkpoint is kept',
  });
}
