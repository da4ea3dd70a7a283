import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { IModelError } from '../../src/errors.ts';
import { loadConfig, parseConfig } from '../../src/runtime/load-config.ts';

const folder = mkdtempSync(join(tmpdir(), 'imodel-config-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function refusal(text: string): Promise<string> {
  const error: unknown = await parseConfig(text, 'models.yaml').catch((thrown: unknown) => thrown);
  expect(IModelError.is(error) && error.code).toBe('config');
  return (error as IModelError).message;
}

describe('a configuration file', () => {
  it('is read in snake_case and given in camelCase, the fields of providers untouched', async () => {
    const path = join(folder, 'models.yaml');
    writeFileSync(
      path,
      `
models:
  gpt:
    model: openai/gpt-4o-mini
    limit_requests: 100
    idle_timeout: 20
    max_tokens: 500
    retry: { max_retries: 1 }
    breaker: { failure_threshold: 2 }
nats:
  servers: [nats://a:4222, nats://b:4222]
  credentials_file: /etc/nats.creds
  tls: { ca_file: ca.pem }
drain_timeout: 5
`,
    );
    expect(await loadConfig(path)).toEqual({
      models: {
        gpt: {
          model: 'openai/gpt-4o-mini',
          limitRequests: 100,
          idleTimeout: 20,
          max_tokens: 500,
          retry: { maxRetries: 1 },
          breaker: { failureThreshold: 2 },
        },
      },
      nats: {
        servers: ['nats://a:4222', 'nats://b:4222'],
        credentialsFile: '/etc/nats.creds',
        tls: { caFile: 'ca.pem' },
      },
      drainTimeout: 5,
    });
  });

  it('gives every iModel its prices: its own, or those beside the iModels, written there or in a file', async () => {
    writeFileSync(join(folder, 'prices.yaml'), 'gpt-4o: { input_usd_per_million: 2.5, output_usd_per_million: 10 }');
    const path = join(folder, 'priced.yaml');
    const write = (prices: string): void =>
      writeFileSync(
        path,
        `
prices: ${prices}
models:
  shared: { model: openai/gpt-4o }
  own: { model: openai/gpt-4o, prices: { gpt-4o: { input_usd_per_million: 1, output_usd_per_million: 2 } } }
  none: { model: openai/gpt-4o, prices: null }
`,
      );
    const [own, shared] = [
      { 'gpt-4o': { inputUsdPerMillion: 1, outputUsdPerMillion: 2 } },
      { 'gpt-4o': { inputUsdPerMillion: 2.5, outputUsdPerMillion: 10 } },
    ];
    for (const prices of ['prices.yaml', '{ gpt-4o: { input_usd_per_million: 2.5, output_usd_per_million: 10 } }']) {
      write(prices);
      const { models } = await loadConfig(path);
      expect([models.shared?.prices, models.own?.prices, models.none?.prices]).toEqual([shared, own, null]);
    }
    write('{ gpt-4o: { input_usd_per_million: -1, output_usd_per_million: 10 } }');
    await expect(loadConfig(path)).rejects.toThrow(
      `${path}:2:44: prices.gpt-4o.input_usd_per_million: expected at least 0, got \`-1\` (number)`,
    );
    write('elsewhere.yaml');
    await expect(loadConfig(path)).rejects.toThrow(/Cannot read the prices in .*elsewhere\.yaml: .*no such file/);
    writeFileSync(join(folder, 'prices.yaml'), 'gpt-4o: { input_usd_per_million: free }');
    write('prices.yaml');
    await expect(loadConfig(path)).rejects.toThrow(/prices\.yaml: prices of `gpt-4o\..*number/);
  });

  it('may be JSON', async () => {
    const text = JSON.stringify({ models: { a: { model: 'scripted/x', on_full: 'reject' } } });
    expect(await parseConfig(text, 'models.json')).toEqual({
      models: { a: { model: 'scripted/x', onFull: 'reject' } },
    });
  });

  it('that is not there is named', async () => {
    await expect(loadConfig(join(folder, 'none.yaml'))).rejects.toMatchObject({
      code: 'config',
      message: `Cannot read ${join(folder, 'none.yaml')}: there is no such file`,
    });
  });

  it('with aliases that multiply without end is refused', async () => {
    const levels = Array.from({ length: 12 }, (_, n) =>
      n === 0 ? 'a0: &a0 [x, x, x, x]' : `a${n}: &a${n} [*a${n - 1}, *a${n - 1}, *a${n - 1}, *a${n - 1}]`,
    );
    expect(await refusal(levels.join('\n'))).toMatch(/^models\.yaml: .*alias/i);
  });

  it.each([
    ['', 'models.yaml: expected names with values, got null'],
    ['models: {}', 'models.yaml:1:9: models: expected one iModel or more, got a mapping'],
    ['model: {a: {}}', 'models.yaml:1:8: model: unknown name; did you mean `models`?, got a mapping'],
    ['frobnicate: 1', 'models.yaml:1:13: frobnicate: unknown name; known are models, nats'],
    ['models: {a: 5}', 'models.yaml:1:13: models.a: expected names with values, got `5` (number)'],
    ['models: [{id: a}]', 'models.yaml:1:9: models: expected iModels by their id, got a list of 1'],
    ['models: {a.b: {}}', 'models.a.b: expected 1 to 64 of the characters A-Z a-z 0-9 _ -, got `a.b` (string)'],
    [
      'models: {a: {limit_tokens: 0}}',
      'models.yaml:1:28: models.a.limit_tokens: expected at least 1, got `0` (number)',
    ],
    ['models: {a: {limitTokens: 5}}', 'models.a.limitTokens: expected `limit_tokens`, got `5` (number)'],
    ['models: {a: {on_full: never}}', 'models.a.on_full: expected one of "wait"|"reject", got `never` (string)'],
    ['models: {a: {headers: {X-Team: 5}}}', 'models.a.headers.X-Team: expected string, got `5` (number)'],
    ['models: {a: {retry: {max_retry: 5}}}', 'models.a.retry.max_retry: unknown name; did you mean `max_retries`?'],
    [
      'models: {a: {retry: {max_retries: -1}}}',
      ':1:35: models.a.retry.max_retries: expected at least 0, got `-1` (number)',
    ],
    ['models: {a: {breaker: 5}}', 'models.a.breaker: expected names with values, got `5` (number)'],
    ['models: {a: {clock: 5}}', 'models.a.clock: cannot be given in a file, got `5` (number)'],
    ['models: {a: {}}\nnats: {server: x}', 'models.yaml:2:16: nats.server: unknown name; did you mean `servers`?'],
    ['models: {a: {}}\nnats: {servers: []}', 'nats.servers: expected one address or more, got a list of 0'],
    [
      'models: {a: {}}\nnats: {tls: {ca: x}}',
      'nats.tls.ca: unknown name; known are ca_file, cert_file, key_file, got `x` (string)',
    ],
    ['models: {a: {}}\ndrain_timeout: -1', 'drain_timeout: expected at least 0, got `-1` (number)'],
  ])('%j is refused', async (text, message) => {
    expect(await refusal(text)).toContain(message);
  });

  it('shows no key in its errors', async () => {
    expect(await refusal('models: [{api_key: sk-secret}]')).not.toContain('sk-secret');
    expect(await refusal('models: {a: {api_key: [sk-secret]}}')).not.toContain('sk-secret');
  });
});
