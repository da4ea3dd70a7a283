import { rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join, relative, resolve } from 'node:path';
import { IModelError } from '../../errors.ts';

/** A socket of this name is open for as long as a process keeps its states in a folder: the system closes it however that ends. */
const lockName = '.in-use';

/** The folders of this process. It may open one again. */
const held = new Map<string, Server>();

/**
 * Takes a folder for this process alone.
 *
 * A file system that has no sockets has no lock either.
 *
 * @returns What gives it back.
 * @throws IModelError `config` when another process has it.
 */
export async function lockFolder(folder: string): Promise<() => void> {
  const place = resolve(folder);
  if (held.has(place)) return () => {};
  const own = join(place, lockName);
  const near = relative('', own);
  // A socket's name is short by nature.
  const path = near.length < own.length ? near : own;
  if (await isOpen(path)) {
    const message = `Cannot keep states in ${folder}: another process does so already`;
    throw IModelError.of('config', message, { field: 'state', value: folder });
  }
  rmSync(path, { force: true });
  const server = await listening(path);
  if (server === null) return () => {};
  held.set(place, server);
  return () => {
    held.delete(place);
    server.close();
  };
}

function isOpen(path: string): Promise<boolean> {
  return new Promise((resolved) => {
    const socket = connect(path);
    const tell = (is: boolean) => () => {
      socket.destroy();
      resolved(is);
    };
    socket.on('connect', tell(true)).on('error', tell(false));
  });
}

function listening(path: string): Promise<Server | null> {
  return new Promise((resolved) => {
    const server = createServer((socket) => socket.destroy());
    server.on('error', () => resolved(null));
    server.listen(path, () => resolved(server));
    // It is no reason to stay.
    server.unref();
  });
}
