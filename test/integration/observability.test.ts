import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { openGateway } from '../gateway/open-gateway.ts';
import { scrape } from '../gateway/scrape.ts';

const root = new URL('../../', import.meta.url);
const read = (path: string): Promise<string> => readFile(new URL(path, root), 'utf8');
const readYaml = async (path: string) => parse(await read(path), { strict: true });

/** Names of metrics in a text, without what histograms append. */
const metricNames = (text: string): Set<string> =>
  new Set([...text.matchAll(/\b(?:imodel|gen_ai|process)_[a-z_]+\b/g)].map(([name]) => name));

interface Panel {
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string }[];
}

/** A gateway that has had a call of each kind, so that every series is there. */
async function usedGateway() {
  const usage = { inputTokens: 7, outputTokens: 3 };
  const prices = { echo: { inputUsdPerMillion: 1, outputUsdPerMillion: 1 } };
  const model = { model: 'scripted/echo', usage, prices, limitRequests: 100, limitTokens: 10_000, retry: null };
  const { url, runtime } = await openGateway({ demo: { ...model, failures: [null, null, 'rejected'] } });
  const demo = runtime.models.get('demo');
  await demo?.invoke({ prompt: 'hello' });
  for await (const _chunk of demo?.stream({ prompt: 'hello' }) ?? []) void _chunk;
  await demo?.invoke({ prompt: 'hello' });
  return scrape(url);
}

describe('the profile observability', () => {
  it('adds Prometheus, in reach of a gateway that answers only its own machine, and Grafana', async () => {
    const { services, volumes } = await readYaml('docker-compose.yml');
    const { prometheus, grafana, imodel } = services;
    for (const service of [prometheus, grafana]) expect(service.profiles).toEqual(['observability']);
    expect(imodel).not.toHaveProperty('profiles');
    expect(prometheus.network_mode).toBe('service:imodel');
    const port = imodel.command[imodel.command.indexOf('--port') + 1];
    const { scrape_configs: jobs } = await readYaml('etc/observability/prometheus.yml');
    expect(jobs.map((job: { static_configs: unknown }) => job.static_configs)).toEqual([
      [{ targets: [`127.0.0.1:${port}`] }],
    ]);
    expect(grafana.ports).toEqual(['127.0.0.1:3000:3000']);
    for (const volume of [...prometheus.volumes, ...grafana.volumes]) {
      const [source = ''] = volume.split(':');
      if (source.startsWith('./')) expect(existsSync(new URL(source, root)), source).toBe(true);
      else expect(Object.keys(volumes)).toContain(source);
    }
  });

  it('provisions the data source that the dashboard names, and the dashboard', async () => {
    const { datasources } = await readYaml('etc/observability/grafana-sources.yml');
    expect(datasources).toMatchObject([{ type: 'prometheus', uid: 'prometheus', url: 'http://imodel:9090' }]);
    const { providers } = await readYaml('etc/observability/grafana-dashboards.yml');
    const { services } = await readYaml('docker-compose.yml');
    const mounted = services.grafana.volumes.map((volume: string) => volume.split(':')[1]);
    expect(mounted).toContain(providers[0].options.path);
    const text = await read('etc/observability/dashboards/imodel.json');
    expect(new Set([...text.matchAll(/"uid": "(\w+)"/g)].map(([, uid]) => uid))).toEqual(
      new Set(['imodel', 'prometheus']),
    );
  });

  it('asks in its dashboard for metrics and labels that /metrics has, panel by panel', async () => {
    const { names, series } = await usedGateway();
    const dashboard: { readonly panels: readonly Panel[] } = JSON.parse(
      await read('etc/observability/dashboards/imodel.json'),
    );
    const asked = dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })));
    expect(asked.length).toBeGreaterThan(15);
    for (const { title, expr } of asked) {
      const wanted = [...metricNames(expr)];
      expect(wanted, title).not.toHaveLength(0);
      const labels = [...expr.matchAll(/by \(([^)]*)\)|\{([^}]*)\}/g)].flatMap(([, by = '', where = '']) =>
        [...by.split(','), ...where.split(',')].map((part) => part.replace(/[!=].*/, '').trim()).filter(Boolean),
      );
      const known = wanted.flatMap((name) => series(name)).join(' ');
      for (const name of wanted) {
        const family = names.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '');
        expect([...names], `${title}: ${name}`).toContain(family);
      }
      for (const label of labels) expect(known, `${title}: ${label}`).toContain(`${label}="`);
    }
  });

  it('is documented, metric by metric', async () => {
    const { names } = await usedGateway();
    const table = (await read('docs/telemetry.md')).split('\n').filter((line) => line.startsWith('| `'));
    const documented = metricNames(table.map((line) => line.split('|')[1]).join(' '));
    expect([...names].sort()).toEqual([...documented].sort());
  });

  it('lays its panels side by side and below each other', async () => {
    const { panels }: { panels: readonly Panel[] } = JSON.parse(await read('etc/observability/dashboards/imodel.json'));
    const taken = new Set<string>();
    for (const { gridPos: at, title } of panels) {
      expect(at.x + at.w).toBeLessThanOrEqual(24);
      for (let x = at.x; x < at.x + at.w; x += 1) {
        for (let y = at.y; y < at.y + at.h; y += 1) {
          expect(taken, title).not.toContain(`${x} ${y}`);
          taken.add(`${x} ${y}`);
        }
      }
    }
  });
});
