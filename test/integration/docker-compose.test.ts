import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

const root = new URL('../../', import.meta.url);
const read = (path: string): Promise<string> => readFile(new URL(path, root), 'utf8');

describe('docker-compose.yml', () => {
  it('brings up NATS with JetStream, and the runtime on it once it is healthy', async () => {
    const { services, volumes } = parse(await read('docker-compose.yml'), { strict: true });
    expect(services.nats.command).toContain('--jetstream');
    expect(services.nats.healthcheck.test[0]).toBe('CMD');
    expect(services.imodel.depends_on.nats.condition).toBe('service_healthy');
    expect(services.imodel.command).toEqual([
      'serve',
      '--nats',
      'nats://nats:4222',
      '--config',
      '/etc/imodel/imodel.yaml',
      '--port',
      '8080',
    ]);
    expect(services.imodel.volumes[0]).toMatch(/:\/etc\/imodel\/imodel\.yaml:ro$/);
    expect(Object.keys(volumes)).toContain(services.nats.volumes[0].split(':')[0]);
  });

  it('builds an image that starts the program of the package', async () => {
    const [dockerfile, packageJson] = [await read('Dockerfile'), JSON.parse(await read('package.json'))];
    expect(dockerfile).toContain(`ENTRYPOINT ["node", "${packageJson.bin.imodel.replace('./', '')}"]`);
    for (const [, paths = ''] of dockerfile.matchAll(/^COPY (?!--)(.+) \S+$/gm)) {
      for (const path of paths.split(' ')) expect(existsSync(new URL(path, root)), path).toBe(true);
    }
  });
});
