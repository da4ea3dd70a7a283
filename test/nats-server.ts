import { spawnSync } from 'node:child_process';
import type { TestProject } from 'vitest/node';
import { findNatsServer, startServer } from './integration/private-server.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The NATS server that all tests share; each uses subjects of its own. */
    natsUrl: string;
  }
}

/**
 * Finds or starts the NATS server that the tests share: `NATS_URL`, a `nats-server` program, one that Debian's package manager installs,
 * or a container. None of them is a failure, never a skip.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env.NATS_URL;
  if (given !== undefined && given !== '') {
    project.provide('natsUrl', given);
    return async () => {};
  }
  if (findNatsServer() === undefined) installOnDebian();
  if (findNatsServer() !== undefined) {
    const server = await startServer();
    project.provide('natsUrl', server.url);
    return () => server.stop();
  }
  return startContainer(project);
}

function installOnDebian(): void {
  if (process.getuid?.() !== 0 || spawnSync('apt-get', ['--version']).status !== 0) return;
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  spawnSync('apt-get', ['update'], { env: environment, stdio: 'inherit' });
  spawnSync('apt-get', ['install', '-y', '--no-install-recommends', 'nats-server'], {
    env: environment,
    stdio: 'inherit',
  });
}

async function startContainer(project: TestProject): Promise<() => Promise<void>> {
  if (spawnSync('docker', ['info']).status !== 0) {
    throw new Error('The tests need a NATS server: install the program nats-server, start Docker, or set NATS_URL.');
  }
  const { GenericContainer, Wait } = await import('testcontainers');
  const container = await new GenericContainer('nats:2.11-alpine')
    .withCommand(['-js'])
    .withExposedPorts(4222)
    .withWaitStrategy(Wait.forLogMessage(/Server is ready/))
    .start();
  project.provide('natsUrl', `nats://${container.getHost()}:${container.getMappedPort(4222)}`);
  return async () => {
    await container.stop();
  };
}
