import { expect, test } from 'vitest';
import { firstNode, meetingFromEnvironment } from './meeting.ts';

const torchrun = {
  RANK: '3',
  WORLD_SIZE: '8',
  LOCAL_RANK: '1',
  LOCAL_WORLD_SIZE: '2',
  MASTER_ADDR: 'node1',
  MASTER_PORT: '4321',
};

test('torchrun: without an agent rank 0 holds the store, with one every rank is a client below its attempt', () => {
  expect(meetingFromEnvironment(torchrun)).toEqual({
    rank: 3,
    size: 8,
    localRank: 1,
    localSize: 2,
    host: 'node1',
    port: 4321,
    hosted: true,
    prefix: 'penumbra',
    launcher: 'torchrun',
  });
  const agent = { ...torchrun, TORCHELASTIC_USE_AGENT_STORE: 'True', TORCHELASTIC_RESTART_COUNT: '2' };
  expect(meetingFromEnvironment(agent)).toMatchObject({ hosted: false, prefix: '/worker/attempt_2' });
});

test('srun: the first node of the step, and a port of the job; a batch script is one process', () => {
  const srun = {
    SLURM_JOB_ID: '77',
    SLURM_STEP_ID: '0',
    SLURM_STEP_NUM_TASKS: '4',
    SLURM_NTASKS: '4',
    SLURM_PROCID: '2',
    SLURM_LOCALID: '0',
    SLURM_STEP_NODELIST: 'gpu[07-09,12]',
  };
  const meeting = meetingFromEnvironment(srun)!;
  expect(meeting).toMatchObject({ rank: 2, size: 4, localRank: 0, host: 'gpu07', launcher: 'srun' });
  expect(meetingFromEnvironment({ ...srun, SLURM_PROCID: '0' })!.port).toBe(meeting.port);
  expect(meetingFromEnvironment({ ...srun, SLURM_JOB_ID: '78' })!.port).not.toBe(meeting.port);
  const { SLURM_STEP_NUM_TASKS: _, ...batch } = srun;
  expect(meetingFromEnvironment(batch)).toBeUndefined();
});

test('mpirun: on one machine they meet there, on several MASTER_ADDR is asked for; MPICH says other names', () => {
  const mpi = {
    OMPI_COMM_WORLD_RANK: '1',
    OMPI_COMM_WORLD_SIZE: '4',
    OMPI_COMM_WORLD_LOCAL_RANK: '1',
    OMPI_COMM_WORLD_LOCAL_SIZE: '4',
    PMIX_NAMESPACE: 'prterun-host-12@1',
  };
  expect(meetingFromEnvironment(mpi)).toMatchObject({ rank: 1, size: 4, host: '127.0.0.1', hosted: true });
  expect(() => meetingFromEnvironment({ ...mpi, OMPI_COMM_WORLD_LOCAL_SIZE: '2' })).toThrow(
    expect.objectContaining({
      code: 'distributed/environment',
      hint: expect.stringContaining('-x MASTER_ADDR'),
    }),
  );
  expect(meetingFromEnvironment({ PMI_RANK: '0', PMI_SIZE: '2', MASTER_ADDR: 'a' })).toMatchObject({
    launcher: 'mpiexec',
    localRank: 0,
    host: 'a',
  });
});

test('a process alone has no meeting, and half a launcher is an error', () => {
  expect(meetingFromEnvironment({})).toBeUndefined();
  expect(meetingFromEnvironment({ ...torchrun, WORLD_SIZE: '1', RANK: '0' })).toBeUndefined();
  for (const [name, value] of [
    ['RANK', '8'],
    ['RANK', '-1'],
    ['WORLD_SIZE', 'two'],
    ['MASTER_PORT', '99999'],
  ]) {
    expect(() => meetingFromEnvironment({ ...torchrun, [name!]: value })).toThrow(
      expect.objectContaining({ code: 'distributed/environment', where: { variable: name } }),
    );
  }
});

test.each([
  ['node1', 'node1'],
  ['node1,node2', 'node1'],
  ['gpu[01-04,07],cpu3', 'gpu01'],
  ['a[7]-ib,b', 'a7-ib'],
  ['rack1-[3,5]', 'rack1-3'],
])('the first node of %s is %s', (nodes, first) => {
  expect(firstNode(nodes)).toBe(first);
});
