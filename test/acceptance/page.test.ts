import { afterEach, describe, expect, it } from 'vitest';
import { type IModelOptions, iModel } from '../../src/index.ts';
import { startUpstream } from '../../src/testing/upstream.ts';

// The constructions of the reference page, as it writes them but for the spelling of TypeScript.

const made: iModel[] = [];
afterEach(async () => {
  await Promise.all(made.splice(0).map((model) => model.close()));
});

function construct(options: IModelOptions): iModel {
  const model = new iModel({ env: {}, ...options });
  made.push(model);
  return model;
}

describe('the constructions of the page', () => {
  it.each<[string, IModelOptions, string, string, boolean]>([
    ['OpenAI', { model: 'gpt-4o' }, 'openai', 'https://api.openai.com/v1/chat/completions', false],
    [
      'Anthropic',
      { provider: 'anthropic', model: 'claude-opus-4-7-20251001' },
      'anthropic',
      'https://api.anthropic.com/v1/messages',
      false,
    ],
    [
      'with rate limits',
      { model: 'gpt-4o', limitRequests: 100, limitTokens: 100_000 },
      'openai',
      'https://api.openai.com/v1/chat/completions',
      false,
    ],
    [
      'Ollama, local',
      { provider: 'ollama', baseUrl: 'http://localhost:11434', model: 'llama3' },
      'ollama',
      'http://localhost:11434/v1/chat/completions',
      false,
    ],
    [
      'NVIDIA NIM',
      { provider: 'nvidia_nim', model: 'meta/llama-3.1-70b-instruct' },
      'nvidia_nim',
      'https://integrate.api.nvidia.com/v1/chat/completions',
      false,
    ],
    [
      'DeepSeek',
      { provider: 'deepseek', model: 'deepseek-chat' },
      'deepseek',
      'https://api.deepseek.com/v1/chat/completions',
      false,
    ],
    [
      'the Responses API',
      { provider: 'openai', endpoint: 'response', model: 'gpt-4o' },
      'openai',
      'https://api.openai.com/v1/responses',
      false,
    ],
    ['Claude Code', { provider: 'claude_code', model: 'sonnet' }, 'claude_code', 'null/query_cli', true],
    ['Codex', { provider: 'codex', model: 'codex-mini-latest' }, 'codex', 'null/query_cli', true],
    ['Gemini CLI', { provider: 'gemini_code', model: 'gemini-2.5-pro' }, 'gemini_code', 'null/query_cli', true],
    ['Pi', { provider: 'pi', model: 'pi' }, 'pi', 'null/query_cli', true],
    ['Exa', { provider: 'exa', endpoint: 'search' }, 'exa', 'https://api.exa.ai/search', false],
    ['Tavily', { provider: 'tavily', endpoint: 'search' }, 'tavily', 'https://api.tavily.com/search', false],
    [
      'Firecrawl, scrape',
      { provider: 'firecrawl', endpoint: 'scrape' },
      'firecrawl',
      'https://api.firecrawl.dev/v1/scrape',
      false,
    ],
    [
      'Firecrawl, map',
      { provider: 'firecrawl', endpoint: 'map' },
      'firecrawl',
      'https://api.firecrawl.dev/v1/map',
      false,
    ],
    [
      'a custom host',
      { provider: 'my_provider', baseUrl: 'https://my-api.example.com/v1', model: 'my-model' },
      'my_provider',
      'https://my-api.example.com/v1/chat/completions',
      false,
    ],
  ])('%s', (_name, options, provider, url, isCli) => {
    const model = construct(options);
    const { config } = model.endpoint;
    expect([config.provider, `${config.baseUrl}/${config.endpoint}`, model.isCli]).toEqual([provider, url, isCli]);
    expect(model.modelName).toBe(options.model ?? '');
    expect(model.requestOptions === null).toBe(provider === 'my_provider');
    expect(model.providerSessionId).toBe(null);
    // Whatever it is, it can be written down and read again.
    const restored = iModel.fromDict(model.toDict(), { env: {} });
    made.push(restored);
    expect(restored.toDict()).toEqual(model.toDict());
  });

  it('the key stands in the variable that the page names', async () => {
    const keys = {
      openai: 'OPENAI_API_KEY',
      anthropic: 'ANTHROPIC_API_KEY',
      gemini: 'GOOGLE_API_KEY',
      groq: 'GROQ_API_KEY',
      deepseek: 'DEEPSEEK_API_KEY',
      perplexity: 'PERPLEXITY_API_KEY',
      openrouter: 'OPENROUTER_API_KEY',
      nvidia_nim: 'NVIDIA_NIM_API_KEY',
    };
    for (const [provider, variable] of Object.entries(keys)) {
      await using upstream = await startUpstream((_request, reply) => reply.json({ choices: [], content: [] }));
      const model = construct({
        provider,
        model: 'm',
        baseUrl: upstream.url,
        env: { [variable]: `key-of-${provider}` },
      });
      await model.invoke({ messages: [{ role: 'user', content: 'hello' }] });
      const { headers } = await upstream.request(0);
      expect(headers['x-api-key'] ?? headers.authorization).toContain(`key-of-${provider}`);
    }
  });

  it('methods: invoke, stream with await, a call made before, a copy, a scope', async () => {
    await using upstream = await startUpstream(async (request, reply) => {
      if (request.json().stream !== true) {
        reply.json({ choices: [{ message: { content: 'hi' }, finish_reason: 'stop' }] });
        return;
      }
      await reply.events([{ choices: [{ delta: { content: 'hi' }, finish_reason: 'stop' }] }, '[DONE]']);
      reply.end();
    });
    const request = { messages: [{ role: 'user', content: 'hello' }], temperature: 0.5 };
    let left: iModel;
    {
      await using model = construct({ model: 'gpt-4o', baseUrl: upstream.url, apiKey: 'sk-of-nobody' });
      left = model;
      expect((await model.invoke(request)).text).toBe('hi');
      let text = '';
      for await (const chunk of await model.stream(request)) text += chunk.content ?? '';
      expect(text).toBe('hi');
      const call = model.createApiCalling(request);
      expect(call.status).toBe('pending');
      expect(await model.invoke(call)).toBe(call);
      const copy = model.copy({ shareSession: false });
      made.push(copy);
      expect(copy.id).not.toBe(model.id);
      expect((await copy.invoke(request)).response).toMatchObject({ choices: [{ message: { content: 'hi' } }] });
    }
    await expect(left.invoke(request)).rejects.toMatchObject({ code: 'closed' });
    expect(upstream.requests).toHaveLength(4);
  });
});
