import { spawnSync } from 'node:child_process';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll } from 'vitest';

/** Installing it takes a while, in milliseconds. */
const installMs = 300_000;

/** A browser for all tests of a file. */
export function useChromium(): () => Browser {
  let browser: Browser | undefined;
  beforeAll(async () => {
    browser = await launchChromium();
  }, installMs);
  afterAll(() => browser?.close());
  return () => {
    if (browser === undefined) throw new Error('The browser is not open');
    return browser;
  };
}

/**
 * Starts a Chromium without a window: the one that `CHROMIUM` names, the program `chromium`, or one that Debian's package manager installs.
 *
 * @throws Error when there is none.
 */
async function launchChromium(): Promise<Browser> {
  // Without its sandbox it starts as root and in containers; it sees pages of this machine alone.
  return chromium.launch({ executablePath: findChromium(), args: ['--no-sandbox', '--disable-gpu'] });
}

function findChromium(): string {
  const given = process.env.CHROMIUM;
  if (given) return given;
  if (!answers('chromium') && process.getuid?.() === 0 && answers('apt-get')) {
    const options = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, stdio: 'inherit' } as const;
    spawnSync('apt-get', ['update'], options);
    spawnSync('apt-get', ['install', '-y', '--no-install-recommends', 'chromium'], options);
  }
  if (answers('chromium')) return spawnSync('which', ['chromium'], { encoding: 'utf8' }).stdout.trim();
  throw new Error(
    'The tests of the dashboard need Chromium: install the program chromium, or set CHROMIUM to its path.',
  );
}

function answers(program: string): boolean {
  return spawnSync(program, ['--version']).status === 0;
}
