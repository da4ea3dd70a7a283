import { describe, expect, it } from 'vitest';
import { IModelError } from '../../src/errors.ts';
import { createEndpoint } from '../../src/providers/create.ts';
import { listEndpoints } from '../../src/providers/list.ts';
import { matchEndpoint } from '../../src/providers/match.ts';

describe('listEndpoints', () => {
  it('tells the state of keys, never the keys', () => {
    const rows = listEndpoints({
      env: { OPENAI_API_KEY: 'sk-secret', GEMINI_API_KEY: 'g-secret', GROQ_API_KEY: '' },
    });
    const state = Object.fromEntries(rows.map(({ provider, key }) => [provider, key]));
    expect(state).toMatchObject({
      openai: 'set',
      gemini: 'set',
      groq: 'missing',
      ollama: 'not needed',
      scripted: 'not needed',
    });
    expect(JSON.stringify(rows)).not.toContain('secret');
  });

  it('has a row for every endpoint, in the order of matching', () => {
    const rows = listEndpoints({ env: {} }).filter(({ baseUrl }) => baseUrl !== null);
    expect(rows.map(({ provider, endpoint }) => `${provider} ${endpoint}`)).toEqual([
      'openai chat/completions',
      'openai audio/speech',
      'openai audio/transcriptions',
      'openai images/generations',
      'openai images/edits',
      'openai embeddings',
      'openai responses',
      'openai audio/translations',
      'anthropic messages',
      'ollama chat/completions',
      'ollama embed',
      'ollama generate',
      'tavily search',
      'tavily extract',
      'exa search',
      'exa contents',
      'exa findSimilar',
      'firecrawl v1/scrape',
      'firecrawl v1/map',
      'firecrawl v1/crawl',
      'perplexity chat/completions',
      'nvidia_nim chat/completions',
      'nvidia_nim embeddings',
      'deepseek chat/completions',
      'gemini chat/completions',
      'groq chat/completions',
      'groq audio/transcriptions',
      'openrouter chat/completions',
    ]);
    expect(rows.find(({ endpoint }) => endpoint === 'embeddings')).toMatchObject({
      streams: false,
      model: 'text-embedding-3-small',
    });
  });

  it('tells of one provider by its name or an alias, and of the nearest when there is none', () => {
    const rows = listEndpoints({ provider: 'NIM', env: {} });
    expect(rows.map(({ provider, endpoint }) => [provider, endpoint])).toEqual([
      ['nvidia_nim', 'chat/completions'],
      ['nvidia_nim', 'embeddings'],
    ]);
    expect(() => listEndpoints({ provider: 'opnai' })).toThrow(
      /There is no provider `opnai` \(string\); did you mean openai\?/,
    );
  });
});

describe('names', () => {
  it.each([
    ['openai', 'response', 'openai responses'],
    ['openai', 'embed', 'openai embeddings'],
    ['openai', 'generations', 'openai images/generations'],
    ['openai', 'audio', 'openai audio/speech'],
    ['openai', 'tts', 'openai audio/speech'],
    ['openai', 'whisper', 'openai audio/transcriptions'],
    ['openai', 'dalle', 'openai images/generations'],
    ['openai', 'image_edit', 'openai images/edits'],
    ['ollama', 'embed', 'ollama embed'],
    ['ollama', 'embeddings', 'ollama embed'],
    ['ollama', 'completion', 'ollama generate'],
    ['gemini-api', 'chat', 'gemini chat/completions'],
    ['open-router', 'chat', 'openrouter chat/completions'],
    ['nvidia', 'embed', 'nvidia_nim embeddings'],
    ['NIM', 'chat', 'nvidia_nim chat/completions'],
    ['groq', 'stt', 'groq audio/transcriptions'],
    ['exa', 'chat', 'exa search'],
    ['exa', 'find_similar', 'exa findSimilar'],
    ['exa', 'get_contents', 'exa contents'],
    ['tavily', 'chat', 'tavily search'],
    ['firecrawl', 'chat', 'firecrawl v1/scrape'],
    ['firecrawl', 'map', 'firecrawl v1/map'],
    ['perplexity', 'anything', 'perplexity chat/completions'],
  ])('%s %s is %s', (provider, endpoint, expected) => {
    const { config } = matchEndpoint(provider, endpoint, { env: {} });
    expect(`${config.provider} ${config.endpoint}`).toBe(expected);
  });

  it('lists a provider’s endpoints when none matches', () => {
    const refused = (): unknown => matchEndpoint('openai', 'nope', { env: {} });
    expect(refused).toThrow(/openai has no endpoint `nope`.*chat\/completions \(chat\).*responses \(response\)/);
    expect(refused).toThrow(IModelError);
  });

  it('lets an unknown path through to a host the caller names', () => {
    const { config } = matchEndpoint('openai', 'moderations', { env: {}, baseUrl: 'https://example.com/v1' });
    expect(config.endpoint).toBe('moderations');
  });
});

describe('the usual constructions', () => {
  it.each([
    [{ model: 'gpt-4o' }, 'openai https://api.openai.com/v1 chat/completions gpt-4o'],
    [
      { provider: 'anthropic', model: 'claude-opus-4-7-20251001' },
      'anthropic https://api.anthropic.com/v1 messages claude-opus-4-7-20251001',
    ],
    [
      { provider: 'ollama', baseUrl: 'http://localhost:11434', model: 'llama3' },
      'ollama http://localhost:11434/v1 chat/completions llama3',
    ],
    [
      { provider: 'ollama', endpoint: 'embed', baseUrl: 'http://localhost:11434', model: 'm' },
      'ollama http://localhost:11434/api embed m',
    ],
    [
      { provider: 'nvidia_nim', model: 'meta/llama-3.1-70b-instruct' },
      'nvidia_nim https://integrate.api.nvidia.com/v1 chat/completions meta/llama-3.1-70b-instruct',
    ],
    [
      { provider: 'deepseek', model: 'deepseek-chat' },
      'deepseek https://api.deepseek.com/v1 chat/completions deepseek-chat',
    ],
    [
      { provider: 'openai', endpoint: 'response', model: 'gpt-4o' },
      'openai https://api.openai.com/v1 responses gpt-4o',
    ],
    [{ provider: 'exa', endpoint: 'search' }, 'exa https://api.exa.ai search undefined'],
    [{ provider: 'tavily', endpoint: 'search' }, 'tavily https://api.tavily.com search undefined'],
    [{ provider: 'firecrawl', endpoint: 'scrape' }, 'firecrawl https://api.firecrawl.dev v1/scrape undefined'],
    [{ provider: 'firecrawl', endpoint: 'map' }, 'firecrawl https://api.firecrawl.dev v1/map undefined'],
    [
      { provider: 'my_provider', baseUrl: 'https://my-api.example.com/v1', model: 'my-model' },
      'my_provider https://my-api.example.com/v1 chat/completions my-model',
    ],
  ])('%j', (options, expected) => {
    const { config } = createEndpoint({ ...options, env: {} });
    expect(`${config.provider} ${config.baseUrl} ${config.endpoint} ${String(config.kwargs.model)}`).toBe(expected);
  });

  it('gives a field the vendor declares to the vendor, though it is an option of ours elsewhere', () => {
    const { config } = createEndpoint({ provider: 'firecrawl', endpoint: 'scrape', timeout: 30_000, env: {} });
    expect(config.kwargs).toEqual({ timeout: 30_000 });
    expect(config.timeout).toBe(330);
  });
});
