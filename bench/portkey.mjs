// Portkey's gateway, installed into a cache folder: a plain install of it answers streams with 500, so one of its dependencies is pinned there.
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';

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

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

function listens(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(socket.destroy() !== undefined));
    socket.once('error', () => resolve(false));
  });
}

/** Starts it before an upstream. Requests name that in their headers. */
export async function startPortkey(upstreamUrl) {
  install();
  const port = await freePort();
  const child = spawn(process.execPath, [program, `--port=${port}`, '--headless'], { cwd: folder, stdio: 'ignore' });
  const exited = new Promise((_resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`Portkey ended with ${code}`)));
  });
  exited.catch(() => {});
  while (!(await Promise.race([listens(port), exited]))) await new Promise((resolve) => setTimeout(resolve, 50));
  return {
    url: `http://127.0.0.1:${port}`,
    headers: {
      'x-portkey-provider': 'openai',
      'x-portkey-custom-host': `${upstreamUrl}/v1`,
      authorization: 'Bearer bench',
    },
    close: () => child.kill(),
  };
}
