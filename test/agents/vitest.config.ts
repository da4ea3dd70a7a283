import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** The real programs, installed from their registries: `npm run test:agents`. */
export default defineConfig({
  test: {
    root: fileURLToPath(new URL('../..', import.meta.url)),
    include: ['test/agents/*.check.ts', 'test/endpoints/agents/captures.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 400_000,
    maxWorkers: 2,
    // The captures, in the pace they were recorded in.
    env: { REPLAY_SPEED: '1' },
  },
});
