import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Before any file runs: finds or installs a NATS server, and builds the program that some tests start.
    globalSetup: ['test/nats-server.ts', 'test/build.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Many tests use real servers, sockets and processes: in CI one that fails is tried once more, and the report shows that it was.
    retry: process.env.CI ? 1 : 0,
    // Two cores: more workers only make sockets and timers late.
    maxWorkers: 2,
    // A test that leaves a key or a configuration of the machine in reach could send a real request.
    env: { OPENAI_API_KEY: '', ANTHROPIC_API_KEY: '', LIONAGI_CHAT_PROVIDER: '' },
  },
});
