import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Starts the `nats-server` program on a free port, or uses the one that `NATS_URL` names where no JetStream is needed. */
export async function startServer({ jetStream = false } = {}) {
  if (process.env.NATS_URL && !jetStream) return { url: process.env.NATS_URL, close: async () => {} };
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  const folder = await mkdtemp(join(tmpdir(), 'imodel-bench-'));
  const flags = ['-a', '127.0.0.1', '-p', String(port), ...(jetStream ? ['-js', '-sd', folder] : [])];
  const child = spawn('nats-server', flags, { stdio: ['ignore', 'ignore', 'pipe'] });
  for await (const line of child.stderr) if (String(line).includes('Server is ready')) break;
  return {
    url: `nats://127.0.0.1:${port}`,
    close: async () => {
      child.kill();
      await once(child, 'exit');
      await rm(folder, { recursive: true, force: true });
    },
  };
}
