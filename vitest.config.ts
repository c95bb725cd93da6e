import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    // The engine keeps grad mode, autocast and thread counts per process: one process a file.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
  },
});
