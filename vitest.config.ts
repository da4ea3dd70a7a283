import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Before any file runs: finds or installs a NATS server, and builds the program that some tests start.
    globalSetup: ['test/nats-server.ts', 'test/build.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Two cores: more workers only make sockets and timers late.
    maxWorkers: 2,
    // A test that leaves a key or a configuration of the machine in reach could send a real request.
    env: { OPENAI_API_KEY: '', ANTHROPIC_API_KEY: '', LIONAGI_CHAT_PROVIDER: '' },
  },
});
