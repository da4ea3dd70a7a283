import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Chunk } from '../../schemas/chunk.ts';
import type { AgentEndpointOptions } from '../../src/endpoints/agents/agent-endpoint.ts';
import { createClaudeCode } from '../../src/endpoints/agents/claude-code.ts';
import { createCodex } from '../../src/endpoints/agents/codex.ts';
import { createGeminiCode } from '../../src/endpoints/agents/gemini-code.ts';
import { createPi } from '../../src/endpoints/agents/pi.ts';
import type { Endpoint, Fields } from '../../src/endpoints/endpoint.ts';
import { IModelError } from '../../src/errors.ts';
import { liveChildren } from '../../src/process/live.ts';
import { listProcesses } from '../../src/process/process-table.ts';
import { installProgram } from './install.ts';
import { startUpstream, type Upstream } from './upstream.ts';

const key = 'sk-test-0000';

const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

/** As many of each program's options as can stand together: the program must take every one. */
const options = {
  claude: {
    ...{
      effort: 'max',
      fallback_model: 'claude-haiku-4-5',
      name: 'a name',
      max_turns: 3,
      max_budget_usd: 5,
      system_prompt: '-be terse',
    },
    ...{
      append_system_prompt: '--really',
      permission_mode: 'plan',
      allowed_tools: ['Bash(git *)', 'Read'],
      disallowed_tools: ['WebFetch'],
    },
    ...{
      tools: ['Read', 'Bash'],
      mcp_servers: {},
      strict_mcp_config: true,
      add_dir: ['/usr'],
      disable_slash_commands: true,
    },
    ...{
      settings: '{"includeCoAuthoredBy":false}',
      setting_sources: 'user',
      session_id: '0f0e0d0c-0b0a-4908-8706-050403020100',
    },
    ...{ agents: { helper: { description: 'helps', prompt: 'Help.' } }, chrome: false, ws: 'inner' },
  },
  codex: {
    ...{
      bypass: false,
      sandbox: 'read-only',
      ask_for_approval: 'never',
      reasoning_effort: 'max',
      plan_mode_reasoning_effort: 'low',
      search: true,
    },
    ...{
      system_prompt: 'true',
      add_dir: ['/usr'],
      color: 'never',
      output_last_message: 'last.txt',
      fast_mode: true,
      ephemeral: true,
      ws: 'inner',
    },
    ...{ config_overrides: { 'history.persistence': 'none', hide_agent_reasoning: true, project_doc_max_bytes: 1000 } },
    ...{ disable_features: ['plugins'] },
  },
  gemini: {
    ...{
      system_prompt: '-be terse',
      append_system_prompt: 'really',
      approval_mode: 'auto_edit',
      sandbox: false,
      debug: true,
      max_turns: 5,
    },
    ...{ include_directories: ['more'], session_id: '0f0e0d0c-0b0a-4908-8706-050403020101', ws: 'inner' },
  },
  pi: {
    ...{
      thinking: 'none',
      tools: ['read', 'bash'],
      exclude_tools: ['bash'],
      no_builtin_tools: false,
      system_prompt: '-be terse',
    },
    ...{ append_system_prompt: ['--really', 'note.txt'], no_context_files: true, no_extensions: true, no_skills: true },
    ...{ session_id: 'imodel-test-session', file_args: ['more.txt'], ws: 'inner' },
  },
} as const;

/** How each program is pointed at the scripted upstream. */
const programs = {
  claude: { create: createClaudeCode, path: '', kwargs: { model: 'claude-sonnet-4-5', max_retries: 1 } },
  codex: { create: createCodex, path: '/v1', kwargs: { model: 'gpt-5-codex', max_retries: 1, bypass: true } },
  gemini: { create: createGeminiCode, path: '', kwargs: { model: 'gemini-2.5-flash', max_retries: 0 } },
  pi: { create: createPi, path: '/v1', kwargs: { model: 'mock-model', persist: true } },
} as const satisfies Record<
  string,
  { create: (options: AgentEndpointOptions) => Endpoint; path: string; kwargs: Fields }
>;

let upstream: Upstream;
beforeAll(async () => {
  upstream = await startUpstream();
});
afterAll(() => upstream.close());

describe.each(Object.keys(programs) as (keyof typeof programs)[])('%s', (name) => {
  const { create, path, kwargs } = programs[name];
  let home = '';
  let program = '';
  let node = '';
  let endpoint: Endpoint;

  beforeAll(async () => {
    program = await installProgram(name);
    node = name === 'pi' ? await installProgram('node') : process.execPath;
    // Not below the system's folder for temporary files, where Codex refuses to work.
    home = mkdtempSync(join(dirname(program), '..', '..', 'home-'));
    mkdirSync(join(home, 'repo'));
    mkdirSync(join(home, 'repo', 'inner', 'more'), { recursive: true });
    writeFileSync(join(home, 'repo', 'inner', 'more.txt'), 'more\n');
    writeFileSync(join(home, 'repo', 'note.txt'), 'The code word is HERON.\n');
    endpoint = make();
  }, 400_000);
  afterEach(() => expect(liveChildren()).toBe(0));
  afterAll(() => rmSync(home, { recursive: true, force: true, maxRetries: 5 }));

  function make(more: Fields = {}): Endpoint {
    return create({
      apiKey: key,
      baseUrl: upstream.url + path,
      hostEnvironment: { PATH: `${dirname(node)}:${process.env.PATH}`, HOME: home, LANG: 'C.UTF-8', USER: 'user' },
      kwargs: {
        ...kwargs,
        repo: join(home, 'repo'),
        cli_path: program,
        ...(name === 'pi' ? { node_path: node } : {}),
        timeout: 60,
        ...more,
      },
    });
  }

  async function run(
    request: Fields,
    target = endpoint,
    signal = new AbortController().signal,
    onChunk: (chunk: Chunk) => void = () => {},
  ) {
    const chunks: Chunk[] = [];
    const sink = {
      write: (chunk: Chunk) => {
        chunks.push(chunk);
        onChunk(chunk);
        return true;
      },
      onDrain: (resume: () => void) => resume(),
    };
    const job = {
      callId: 'c',
      payload: target.prepare(request),
      transport: {},
      sink,
      signal,
      sent: () => {},
      answered: () => {},
    };
    const [settled] = await Promise.allSettled([target.run(job)]);
    if (settled.status === 'fulfilled') return { chunks, reply: settled.value, error: null };
    if (!IModelError.is(settled.reason)) throw settled.reason;
    return { chunks, reply: null, error: settled.reason };
  }

  test('answers a text, with usage and a session, asked with our key and system text', async () => {
    const from = upstream.asked.length;
    const { chunks, reply, error } = await run({
      messages: [
        { role: 'system', content: 'Mention no herons.' },
        { role: 'user', content: 'say-hello' },
      ],
    });
    expect(error).toBeNull();
    expect(reply?.view.text).toBe('Hello from the scripted model.');
    expect(reply?.view.usage).toMatchObject({ inputTokens: 120, outputTokens: 9 });
    expect(reply?.sessionId).toMatch(/^[0-9a-f-]{36}$/);
    expect(chunks[0]?.type).toBe('system');
    expect(chunks.at(-1)?.type).toBe('result');
    const asked = upstream.asked.slice(from).filter(({ body }) => JSON.stringify(body).includes('say-hello'));
    expect(asked[0]?.key).toContain(key);
    expect(JSON.stringify(asked[0]?.body)).toContain('Mention no herons.');
  });

  test('takes every option we know', async () => {
    const from = upstream.asked.length;
    const { reply, error } = await run({ prompt: 'say-hello', ...options[name] }, make());
    expect(error).toBeNull();
    expect(reply?.view.text).toBe('Hello from the scripted model.');
    const asked = JSON.stringify(upstream.asked.slice(from).map(({ body }) => body));
    expect(asked).toContain(name === 'codex' ? '"true"' : '-be terse');
    if (name !== 'codex') expect(asked).toContain('really');
  });

  test('is shown a picture', async () => {
    const from = upstream.asked.length;
    const content = [
      { type: 'text', text: 'say-hello' },
      { type: 'image_url', image_url: { url: `data:image/png;base64,${pixel}` } },
    ];
    const { error } = await run({ messages: [{ role: 'user', content }] }, make());
    expect(error).toBeNull();
    // Some programs write the picture anew; it stays a PNG.
    expect(JSON.stringify(upstream.asked.slice(from).map(({ body }) => body))).toContain('iVBORw0KGgo');
  });

  test('goes on with the session of the call before', async () => {
    const own = make();
    const first = await run({ prompt: 'say-hello' }, own);
    const from = upstream.asked.length;
    const second = await run({ prompt: 'say-more' }, own);
    expect(second.error).toBeNull();
    expect(second.reply?.view.text).toBe('Second turn: I still have the first one.');
    expect(second.reply?.sessionId).toBe(first.reply?.sessionId);
    expect(JSON.stringify(upstream.asked.slice(from).map(({ body }) => body))).toContain(
      'Hello from the scripted model.',
    );
    const latest = await run({ prompt: 'say-more', resume: 'latest' }, make());
    expect(latest.error).toBeNull();
    expect(latest.reply?.sessionId).toBe(first.reply?.sessionId);
  });

  test('uses a tool and answers with what it found', async () => {
    const { chunks, reply, error } = await run({ prompt: 'use-a-tool' }, make());
    expect(error).toBeNull();
    const uses = chunks.filter(({ type }) => type === 'tool_use');
    const results = chunks.filter(({ type }) => type === 'tool_result');
    expect(uses).toHaveLength(1);
    expect(results.map(({ toolId }) => toolId)).toEqual(uses.map(({ toolId }) => toolId));
    expect(reply?.view.text).toBe('The code word is HERON.');
    expect(reply?.response).toMatchObject({ summary: { total_tool_calls: 1 } });
  });

  test('tells a refused key as auth, with the status', async () => {
    const { error, chunks } = await run({ prompt: 'say-401' }, make());
    expect(error?.failure).toMatchObject({ code: 'unauthorized', reason: 'auth' });
    expect(chunks.at(-1)).toMatchObject({ type: 'error', metadata: { kind: 'auth', status: 401 } });
    expect(JSON.stringify([error, chunks])).not.toContain(key);
  });

  test('tells a rate limit as quota', async () => {
    const { error } = await run({ prompt: 'say-429' }, make());
    expect(error?.failure).toMatchObject({ code: 'rate_limited', reason: 'quota' });
  });

  test('an unknown session is session_not_found', async () => {
    const { error } = await run({ prompt: 'say-hello', resume: '11111111-2222-4333-8444-555555555555' }, make());
    expect(error?.failure).toMatchObject({ code: 'rejected', reason: 'session_not_found' });
  });

  test('a cancel in the middle ends the program and all it started', async () => {
    const controller = new AbortController();
    // Codex tells a text only when it is whole.
    const soon = setTimeout(() => controller.abort(IModelError.of('cancelled', 'no', {})), 6_000);
    const { error } = await run({ prompt: 'say-slow' }, make(), controller.signal, ({ type }) => {
      if (type === 'text') controller.abort(IModelError.of('cancelled', 'no', {}));
    });
    clearTimeout(soon);
    expect(error?.code).toBe('cancelled');
    expect(listProcesses().filter(({ pid }) => environmentOf(pid).includes(`HOME=${home}\0`))).toEqual([]);
  });

  test('an option it does not know is told as config, with the version found', async () => {
    const { error } = await run({ prompt: 'x' }, make({ extra_args: ['--no-such-flag'] }));
    expect(error?.failure).toMatchObject({ code: 'rejected', reason: 'config' });
    expect(error?.message).toMatch(/tried with \d/);
  });
});

function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch {
    return '';
  }
}
