import { describe, expect, it } from 'vitest';
import { IModelError } from '../../src/errors.ts';
import { createEndpoint } from '../../src/providers/create.ts';
import { inferProvider } from '../../src/providers/infer.ts';
import { matchEndpoint } from '../../src/providers/match.ts';

const where = (provider: string, endpoint?: string, baseUrl?: string): string => {
  const { config } = matchEndpoint(provider, endpoint, { env: {}, ...(baseUrl === undefined ? {} : { baseUrl }) });
  return `${config.provider} ${config.endpoint}`;
};

function refusal(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    if (IModelError.is(error) && error.code === 'config') return error.message;
    throw error;
  }
  throw new Error('Nothing was refused');
}

describe('matchEndpoint', () => {
  it.each([
    ['openai', 'chat', 'openai chat/completions'],
    ['openai', undefined, 'openai chat/completions'],
    ['openai', '/chat/completions/', 'openai chat/completions'],
    ['OPENAI', 'Chat', 'openai chat/completions'],
    ['  openai ', 'completions', 'openai chat/completions'],
    ['anthropic', 'foo', 'anthropic messages'],
    ['anthropic', '', 'anthropic messages'],
    ['ollama', 'chat', 'ollama chat/completions'],
    ['scripted', 'chat', 'scripted chat/completions'],
  ])('%s %s is %s', (provider, endpoint, expected) => {
    expect(where(provider, endpoint)).toBe(expected);
  });

  it('takes any other name for a compatible host, given a base URL', () => {
    expect(where('custom', '', 'http://127.0.0.1:1/v1')).toBe('custom chat/completions');
    expect(where('custom', 'chat', 'http://127.0.0.1:1/v1')).toBe('custom chat/completions');
    expect(where('my host', 'embeddings', 'http://127.0.0.1:1/v1')).toBe('my host embeddings');
  });

  it('says what there is when nothing matches', () => {
    expect(refusal(() => matchEndpoint('opnai', 'chat', { env: {} }))).toMatch(
      /no provider `opnai`.*did you mean openai\?.*anthropic.*needs a `baseUrl`/,
    );
    expect(refusal(() => matchEndpoint('', 'chat'))).toMatch(/Expected `provider`/);
  });

  it('refuses base URLs that are none or not allowed, and times that are not positive', () => {
    expect(refusal(() => matchEndpoint('custom', 'chat', { baseUrl: 'nonsense' }))).toContain('nonsense');
    expect(refusal(() => matchEndpoint('custom', 'chat', { baseUrl: 'ftp://example.com' }))).toContain('http');
    expect(refusal(() => matchEndpoint('custom', 'chat', { baseUrl: 'http://10.0.0.5/v1' }))).toContain('10.0.0.5');
    expect(refusal(() => matchEndpoint('openai', 'chat', { timeout: 0 }))).toContain('timeout');
    expect(where('custom', 'chat', 'http://localhost:8000/v1')).toBe('custom chat/completions');
    expect(() =>
      matchEndpoint('custom', 'chat', { baseUrl: 'http://10.0.0.5/v1', allowPrivateNetwork: true }),
    ).not.toThrow();
  });

  it('gives Ollama’s base URL its path when it has none', () => {
    const url = (baseUrl: string) => matchEndpoint('ollama', 'chat', { env: {}, baseUrl }).config.baseUrl;
    expect(url('http://localhost:11434')).toBe('http://localhost:11434/v1');
    expect(url('http://localhost:11434/')).toBe('http://localhost:11434/v1');
    expect(url('http://localhost:11434/proxy/v1/')).toBe('http://localhost:11434/proxy/v1');
  });

  it('holds no key in its config', () => {
    const endpoint = matchEndpoint('openai', 'chat', { apiKey: 'sk-0123456789', env: { OPENAI_API_KEY: 'sk-other' } });
    expect(JSON.stringify(endpoint.config)).not.toMatch(/sk-/);
  });

  it('presets a model, which the environment or the caller may change', () => {
    const model = (kwargs: object, env: Record<string, string> = {}) =>
      matchEndpoint('openai', 'chat', { env, kwargs: { ...kwargs } }).config.kwargs.model;
    expect(model({})).toBe('gpt-4.1-mini');
    expect(model({}, { OPENAI_DEFAULT_MODEL: 'gpt-5' })).toBe('gpt-5');
    expect(model({ model: 'o3' }, { OPENAI_DEFAULT_MODEL: 'gpt-5' })).toBe('o3');
  });
});

describe('inferProvider', () => {
  it.each([
    [{ model: 'openai/gpt-4o' }, 'openai', 'gpt-4o'],
    [{ model: 'openai/gpt-4/turbo' }, 'openai', 'gpt-4/turbo'],
    [{ model: 'openrouter/anthropic/claude-3' }, 'openrouter', 'anthropic/claude-3'],
    [{ model: 'openai/openai/x' }, 'openai', 'openai/x'],
    [{ model: 'ai/openai/gpt' }, 'ai', 'openai/gpt'],
    [{ model: 'gpt-4o' }, 'openai', 'gpt-4o'],
    [{ provider: 'openrouter', model: 'anthropic/claude-3' }, 'openrouter', 'anthropic/claude-3'],
    [{ provider: 'openai' }, 'openai', undefined],
  ])('%j is %s, %s', (given, provider, model) => {
    expect(inferProvider(given, {})).toEqual({ provider, model });
  });

  it('follows the configured default provider', () => {
    expect(inferProvider({ model: 'x' }, { LIONAGI_CHAT_PROVIDER: 'groq' }).provider).toBe('groq');
    expect(inferProvider({ model: 'x' }, { LIONAGI_CHAT_PROVIDER: '' }).provider).toBe('openai');
  });

  it.each([{}, { model: '' }, { model: '/x' }, { provider: ' ' }, { provider: null, model: null }])(
    'refuses %j',
    (given) => {
      expect(refusal(() => inferProvider(given, {}))).toMatch(/Expected a `provider`/);
    },
  );
});

describe('createEndpoint', () => {
  it('sorts flat options into ours and the payload’s', () => {
    const { config } = createEndpoint({
      model: 'openai/gpt-4o',
      temperature: 0.5,
      timeout: 5,
      contextWindow: 1_000,
      env: {},
    });
    expect(config).toMatchObject({
      name: 'openai_chat/completions',
      provider: 'openai',
      baseUrl: 'https://api.openai.com/v1',
      timeout: 5,
      contextWindow: 1_000,
      kwargs: { model: 'gpt-4o', temperature: 0.5 },
    });
  });

  it('takes null for not given', () => {
    expect(
      createEndpoint({ provider: null, model: 'gpt-4o', endpoint: null, apiKey: undefined as never, env: {} }).config
        .provider,
    ).toBe('openai');
  });

  it('refuses an unknown option by name', () => {
    expect(refusal(() => createEndpoint({ model: 'openai/gpt-4o', temprature: 1, env: {} }))).toMatch(
      /temprature.*temperature/,
    );
  });
});
