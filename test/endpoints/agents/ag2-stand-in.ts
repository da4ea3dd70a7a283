import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Fields } from '../../../src/endpoints/endpoint.ts';
import { temporaryFolder } from './harness.ts';

/** The folder of the stand-in packages, one folder in it for each generation of AG2. */
export const stubs = fileURLToPath(new URL('./ag2-stubs', import.meta.url));

/** The program that runs AG2. */
export const runner = fileURLToPath(new URL('../../../src/endpoints/agents/ag2/ag2_runner.py', import.meta.url));

/** The Python of this machine. */
export const python = execFileSync('python3', ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' }).trim();

/** Options of an endpoint whose Python sees the stand-in packages of a folder, and nothing that is installed. */
export function stubbed(folder: string, kwargs: Fields = {}) {
  return {
    hostEnvironment: {
      PATH: process.env.PATH,
      PYTHONPATH: folder === '' ? '' : join(stubs, folder),
      PYTHONNOUSERSITE: '1',
      PYTHONDONTWRITEBYTECODE: '1',
    },
    kwargs: { python, repo: temporaryFolder(), ...kwargs },
  };
}

/** A folder that Python can import the source from, as `mytools.search`. */
export function toolFolder(source: string): string {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'mytools'));
  writeFileSync(join(folder, 'mytools', '__init__.py'), '');
  writeFileSync(join(folder, 'mytools', 'search.py'), source);
  return folder;
}

/** Where the models of the agents would be, if a stand-in asked one. */
export const llm = {
  main: { api_type: 'openai', model: 'anything', base_url: 'http://127.0.0.1:9/v1', streaming: true, max_retries: 0 },
} as const;

/** The source of the example's tool. */
export const lookup =
  'def lookup(q: str) -> str:\n    "Looks something up"\n    print("printed by a tool")\n    return "3 hits"\n';

/** The stand-in package plays each agent's `system_message` as a script: see `ag2-stubs/network/ag2/__init__.py`. */
export const planner = {
  name: 'planner',
  system_message: JSON.stringify([
    { tool: 'lookup', input: { q: 'lru' } },
    { chunks: ['First, ', 'a plan.'] },
    { tool: 'transfer_to_critic', input: { reason: 'plan exists' } },
  ]),
  tools: ['lookup'],
  handoffs: [{ target: 'critic', condition: 'when a plan exists' }],
};

/** The agent that the planner hands over to. */
export const critic = { name: 'critic', system_message: JSON.stringify([{ say: 'Final text' }]) };

/** An agent that says a word and then does not end. */
export const endless = { name: 'planner', system_message: JSON.stringify([{ chunks: ['thinking'] }, { sleep: 600 }]) };
