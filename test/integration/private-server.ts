import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A NATS server of a test's own, which it may kill, stop and start again. */
export interface PrivateServer {
  readonly url: string;
  readonly port: number;
  /** Ends it with SIGKILL and waits until it is gone. */
  kill(): Promise<void>;
  /** Starts it again: same port, same store. */
  start(): Promise<void>;
  /** SIGSTOP: the process stands still, its sockets stay open. */
  freeze(): void;
  /** SIGCONT. */
  thaw(): void;
  /** Sends another signal, as SIGUSR2 for lame duck mode. */
  signal(name: NodeJS.Signals): void;
  /** Replaces the configuration for the next start. */
  configure(config: string): Promise<void>;
  /** Ends it and removes its store. */
  stop(): Promise<void>;
}

/** The `nats-server` program, or undefined when there is none on the path. */
export function findNatsServer(): string | undefined {
  // Debian installs it where only root's path looks.
  const path = `${process.env.PATH ?? ''}:/usr/sbin:/usr/local/sbin`;
  const found = spawnSync('sh', ['-c', 'command -v nats-server'], { env: { PATH: path }, encoding: 'utf8' });
  return found.status === 0 ? found.stdout.trim() : undefined;
}

/**
 * Starts a server on a free port of 127.0.0.1, with JetStream in a directory of its own.
 *
 * @param config - Lines of nats-server configuration beside port and store.
 */
export async function startServer(config = ''): Promise<PrivateServer> {
  const program = findNatsServer();
  if (program === undefined) throw new Error('This test starts servers of its own: install the program nats-server.');
  const directory = await mkdtemp(join(tmpdir(), 'imodel-nats-'));
  const port = await freePort();
  const configFile = join(directory, 'server.conf');
  let child: ChildProcess | undefined;
  let log = '';
  const configure = (text: string): Promise<void> =>
    writeFile(
      configFile,
      `host: 127.0.0.1\nport: ${port}\njetstream { store_dir: "${directory}/store" }\nlame_duck_duration: "30s"\nlame_duck_grace_period: "1s"\n${text}\n`,
    );
  const gone = new Set<ChildProcess>();

  const start = async (): Promise<void> => {
    log = '';
    const started = spawn(program, ['-c', configFile], { stdio: ['ignore', 'ignore', 'pipe'] });
    child = started;
    started.stderr.on('data', (data) => {
      log = (log + String(data)).slice(-4_000);
    });
    started.on('exit', () => gone.add(started));
    await until(async () => {
      if (gone.has(started)) throw new Error(`nats-server ended at its start:\n${log}`);
      return greets(port);
    }, 'nats-server to answer');
  };
  const kill = async (): Promise<void> => {
    const ending = child;
    if (ending === undefined || gone.has(ending)) return;
    const ended = new Promise((resolve) => ending.once('exit', resolve));
    ending.kill('SIGKILL');
    await ended;
  };
  const killAtExit = (): void => {
    child?.kill('SIGKILL');
  };

  await configure(config);
  await start();
  process.once('exit', killAtExit);
  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    kill,
    start,
    configure,
    freeze: () => child?.kill('SIGSTOP'),
    thaw: () => child?.kill('SIGCONT'),
    signal: (name) => child?.kill(name),
    async stop() {
      process.removeListener('exit', killAtExit);
      await kill();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** A port that was free a moment ago. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

/** Waits until a condition holds, looking every 20 ms. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what = 'the condition',
  timeoutMs = 15_000,
): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`Waited ${timeoutMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Whether a NATS server sends its greeting on a port. */
function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(1_000, () => end(false));
    socket.once('data', (data) => end(String(data).startsWith('INFO')));
    socket.once('error', () => end(false));
    socket.once('close', () => end(false));
  });
}
