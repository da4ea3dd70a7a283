// Gateways as their users run them: programs that listen on a port, with nobody who reads what they print.
import { spawn } from 'node:child_process';
import { connect, createServer } from 'node:net';

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

/**
 * Starts a program of Node's and resolves when it listens.
 *
 * @param words - Makes its command line for the port it is to listen on.
 */
export async function startFrontProgram(words, options = {}) {
  const port = await freePort();
  const child = spawn(process.execPath, words(port), { ...options, stdio: 'ignore' });
  const exited = new Promise((_resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`${words(port).join(' ')} ended with ${code}`)));
  });
  exited.catch(() => {});
  while (!(await Promise.race([listens(port), exited]))) await new Promise((resolve) => setTimeout(resolve, 50));
  return { url: `http://127.0.0.1:${port}`, close: () => child.kill() };
}
