import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, expect, vi } from 'vitest';
import type { Chunk } from '../../../schemas/chunk.ts';
import type { Failure } from '../../../schemas/failure.ts';
import type { AgentEndpointOptions } from '../../../src/endpoints/agents/agent-endpoint.ts';
import { claudeCode, createClaudeCode } from '../../../src/endpoints/agents/claude-code.ts';
import { codex, createCodex } from '../../../src/endpoints/agents/codex.ts';
import { createGeminiCode, geminiCode } from '../../../src/endpoints/agents/gemini-code.ts';
import { createPi, pi } from '../../../src/endpoints/agents/pi.ts';
import type { ChunkSink, Endpoint, EndpointReply, Fields, UpstreamNote } from '../../../src/endpoints/endpoint.ts';
import { IModelError } from '../../../src/errors.ts';
import { processesWithVariable } from '../../../src/process/process-table.ts';

const replay = fileURLToPath(new URL('./replay.mjs', import.meta.url));
const captures = fileURLToPath(new URL('../../fixtures/cli', import.meta.url));

/** The four programs: the folder of their captures, and what makes their endpoint. */
export const agents = {
  claude: createClaudeCode,
  codex: createCodex,
  gemini: createGeminiCode,
  pi: createPi,
} as const;

const versions = {
  claude: claudeCode.testedVersion,
  codex: codex.testedVersion,
  gemini: geminiCode.testedVersion,
  pi: pi.testedVersion,
};

/** See {@link agents}. */
export type AgentName = keyof typeof agents;

/** The names of the {@link agents}. */
export const every = Object.keys(agents) as AgentName[];

/** The names of every recorded case of a program. */
export function casesOf(agent: AgentName): string[] {
  return Object.keys(JSON.parse(readFileSync(join(captures, agent, 'cases.json'), 'utf8')));
}

/** What a stand-in program saw. */
export interface Seen {
  readonly argv: string[];
  readonly stdin: string;
  readonly env: Record<string, string>;
  readonly pid: number;
  readonly cwd: string;
}

// Other test files run at the same time: what is left behind can only be counted in a folder of one's own.
const root = mkdtempSync(join(tmpdir(), 'agents-'));
process.env.TMPDIR = root;
afterAll(() => rmSync(root, { recursive: true, force: true }));

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A folder that is removed after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'agents-test-'));
  folders.push(folder);
  return folder;
}

/** One endpoint over a stand-in program, in a folder of its own. */
export interface Bench {
  readonly endpoint: Endpoint;
  /** The work space. */
  readonly repo: string;
  /** What the stand-in was started with, run by run. */
  seen(): Seen[];
  run(request: Fields, options?: RunOptions): Promise<Outcome>;
}

/** How a run is made. */
export interface RunOptions {
  readonly signal?: AbortSignal;
  /** Null runs one-shot. */
  readonly sink?: null;
  readonly transport?: Fields;
  /** Called with each chunk. */
  readonly onChunk?: (chunk: Chunk) => void;
}

/** Everything a run brought. */
export interface Outcome {
  readonly chunks: Chunk[];
  readonly reply: EndpointReply | null;
  readonly error: IModelError | null;
  readonly notes: UpstreamNote[];
  readonly response: Record<string, unknown>;
}

/**
 * Makes an endpoint whose program is a script of the test.
 *
 * @param script - A shell script; `exec node …` or plain commands.
 */
export function benchWithScript(agent: AgentName, script: string, options: AgentEndpointOptions = {}): Bench {
  const folder = temporaryFolder();
  const repo = join(folder, 'repo');
  mkdirSync(repo);
  const log = join(folder, 'log');
  const program = join(folder, agent);
  writeFileSync(program, `#!/bin/sh\nREPLAY_LOG='${log}'; export REPLAY_LOG\n${script}\n`);
  chmodSync(program, 0o755);
  const endpoint = agents[agent]({
    ...options,
    hostEnvironment: { PATH: process.env.PATH, HOME: folder, ...options.hostEnvironment },
    kwargs: { repo, cli_path: program, ...options.kwargs },
  });
  return {
    endpoint,
    repo,
    seen: () =>
      existsSync(log)
        ? readFileSync(log, 'utf8')
            .trim()
            .split('\n')
            .map((line) => JSON.parse(line))
        : [],
    run: (request, runOptions) => runOnce(endpoint, request, runOptions),
  };
}

/** Makes an endpoint whose program plays captures: `claude/text`, one for each run, the last one again and again. */
export function benchWithCapture(
  agent: AgentName,
  cases: string | readonly string[],
  options: AgentEndpointOptions & { readonly replay?: Readonly<Record<string, string>> } = {},
): Bench {
  const names = typeof cases === 'string' ? [cases] : cases;
  const settings = Object.entries({ ...options.replay }).map(([name, value]) => `export ${name}='${value}'`);
  const pick = names.map(
    (name, index) => `${index + 1 === names.length ? '*' : index}) export REPLAY_CASE='${agent}/${name}';;`,
  );
  const script = [
    `if [ "$1" = --version ]; then echo '${versions[agent]}'; exit 0; fi`,
    ...settings,
    'run=$(cat "$REPLAY_LOG.count" 2>/dev/null || echo 0)',
    'echo $((run + 1)) > "$REPLAY_LOG.count"',
    `case $run in ${pick.join(' ')} esac`,
    `exec '${process.execPath}' '${replay}' "$@"`,
  ].join('\n');
  return benchWithScript(agent, script, options);
}

/** Runs one call on an endpoint. A request that is refused before it runs is an error too. */
export async function runOnce(endpoint: Endpoint, request: Fields, options: RunOptions = {}): Promise<Outcome> {
  const chunks: Chunk[] = [];
  const notes: UpstreamNote[] = [];
  try {
    const reply = await endpoint.run({
      callId: 'call',
      payload: endpoint.prepare(request),
      transport: options.transport ?? {},
      sink: options.sink === null ? null : collect(chunks, options.onChunk),
      signal: options.signal ?? new AbortController().signal,
      sent: () => {},
      answered: () => {},
      journal: (note) => notes.push(note),
    });
    return { chunks, reply, error: null, notes, response: reply.response as Record<string, unknown> };
  } catch (error) {
    if (!IModelError.is(error)) throw error;
    return { chunks, reply: null, error, notes, response: {} };
  }
}

function collect(chunks: Chunk[], onChunk?: (chunk: Chunk) => void): ChunkSink {
  return {
    write: (chunk) => {
      chunks.push(chunk);
      onChunk?.(chunk);
      return true;
    },
    onDrain: (resume) => resume(),
  };
}

/** Processes that any run of this machine marked and that still live. */
export function markedProcesses(runId: string): number {
  return processesWithVariable('LIONAGI_RUN_ID', runId).length;
}

/** Folders of runs that were not removed. */
export function leftFolders(): string[] {
  return readdirSync(root).filter((name) => name.startsWith('imodel-'));
}

/** Waits until no folder of a run is left: how a file of runs ends. */
export async function noFolderLeft(): Promise<void> {
  await vi.waitFor(() => expect(leftFolders()).toEqual([]));
}

/** A chunk or failure without what differs from run to run: paths of the test, measured times, the time that was given. */
export function steady(value: Chunk | Failure, repo: string, timeout: number): Record<string, unknown> {
  const text = JSON.stringify(value, (key, inner: unknown) => {
    if (key === 'duration_ms' && typeof inner === 'number') return '<ms>';
    if (key === 'timeoutMs') return '<timeout>';
    if (key === 'tools' && Array.isArray(inner) && inner.length > 5)
      return [...inner.slice(0, 3), `and ${inner.length - 3} more`];
    return inner;
  });
  return JSON.parse(
    text.replaceAll(repo, '<repo>').replaceAll(` ended after ${timeout} s`, ' ended after <timeout> s'),
  );
}
