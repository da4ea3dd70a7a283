// Portkey's gateway, installed into a cache folder: a plain install of it answers streams with 500, so one of its dependencies is pinned there.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { startFrontProgram } from './front-program.mjs';

const folder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'imodel-bench', 'portkey');
const program = join(folder, 'node_modules', '@portkey-ai', 'gateway', 'build', 'start-server.js');

function install() {
  if (existsSync(program)) return;
  mkdirSync(folder, { recursive: true });
  cpSync(new URL('./portkey/package.json', import.meta.url), join(folder, 'package.json'));
  console.error('(installs @portkey-ai/gateway into its cache folder)');
  const { status } = spawnSync('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts'], {
    cwd: folder,
    stdio: 'ignore',
  });
  if (status !== 0) throw new Error(`npm install in ${folder} ended with ${status}`);
}

/** Starts it before an upstream. Requests name that in their headers. */
export async function startPortkey(upstreamUrl) {
  install();
  const front = await startFrontProgram((port) => [program, `--port=${port}`, '--headless'], { cwd: folder });
  const headers = {
    'x-portkey-provider': 'openai',
    'x-portkey-custom-host': `${upstreamUrl}/v1`,
    authorization: 'Bearer bench',
  };
  return { ...front, headers };
}
