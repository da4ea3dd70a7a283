import { closeSync, existsSync, fstatSync, ftruncateSync, mkdirSync, openSync, statSync, writeSync } from 'node:fs';
import { open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { IModelError } from '../../errors.ts';
import { lockFolder } from './folder-lock.ts';
import { generationOf, type KeptState, type StateStore } from './state-store.ts';

/** Requests stand in the files: they are their owner's alone. */
const ownersOnly = { file: 0o600, folder: 0o700 } as const;

interface OpenLog {
  generation: number;
  descriptor: number | null;
  sizeBytes: number;
}

/**
 * Keeps states in a folder: `<id>.json` and `<id>.<generation>.log`. For one process at a time: see {@link lockFolder}.
 *
 * An entry is handed to the operating system before {@link append} returns: it outlives the process, whatever kills that, but not a machine
 * that loses its power. Snapshots outlive that too.
 */
export class FileStateStore implements StateStore {
  readonly #folder: string;
  readonly #logs = new Map<string, OpenLog>();
  readonly #unlock: () => void;

  private constructor(folder: string, unlock: () => void) {
    this.#folder = folder;
    this.#unlock = unlock;
  }

  /** @throws IModelError `config` when the folder cannot be made, or another process has it. */
  static async open(folder: string): Promise<FileStateStore> {
    try {
      makeFolder(folder);
    } catch (cause) {
      const message = `Cannot keep states in ${folder}: ${(cause as Error).message}`;
      throw IModelError.of('config', message, { field: 'state', value: folder }, { cause });
    }
    return new FileStateStore(folder, await lockFolder(folder));
  }

  async read(id: string): Promise<KeptState | null> {
    const place = join(this.#folder, `${id}.json`);
    const logs = await this.#logNumbers(id);
    let snapshot: string;
    try {
      snapshot = await readFile(place, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw unreadable(place, error);
      this.#logOf(id).generation = logs.at(-1) ?? 0;
      return null;
    }
    const generation = generationOf({ snapshot, place });
    this.#logOf(id).generation = Math.max(generation, logs.at(-1) ?? 0);
    const log: string[] = [];
    for (const number of logs.filter((candidate) => candidate >= generation)) {
      // What comes after the last line's end was not written to its own end.
      log.push(...(await this.#readLog(id, number)).split('\n').slice(0, -1));
    }
    return { place, snapshot, log };
  }

  turn(id: string): number {
    const log = this.#logOf(id);
    const descriptor = openSync(this.#logPath(id, log.generation + 1), 'a', ownersOnly.file);
    if (log.descriptor !== null) closeSync(log.descriptor);
    log.generation += 1;
    log.descriptor = descriptor;
    log.sizeBytes = fstatSync(descriptor).size;
    return log.generation;
  }

  append(id: string, entry: string): null {
    const log = this.#logOf(id);
    if (log.descriptor === null) return null;
    const line = Buffer.from(`${entry}\n`);
    const written = writeSync(log.descriptor, line);
    if (written < line.length) {
      // The disk is full in the middle of it: what comes later must not be the rest of this line.
      ftruncateSync(log.descriptor, log.sizeBytes);
      throw new Error('there was no room for an entry of the log');
    }
    log.sizeBytes += written;
    return null;
  }

  async write(id: string, generation: number, snapshot: string): Promise<void> {
    const path = join(this.#folder, `${id}.json`);
    const next = `${path}.next`;
    const file = await open(next, 'w', ownersOnly.file);
    try {
      await file.writeFile(snapshot);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(next, path);
    await this.#syncFolder();
    const older = (await this.#logNumbers(id)).filter((number) => number < generation);
    await Promise.all(older.map((number) => rm(this.#logPath(id, number), { force: true })));
  }

  async close(): Promise<void> {
    for (const { descriptor } of this.#logs.values()) if (descriptor !== null) closeSync(descriptor);
    this.#logs.clear();
    this.#unlock();
  }

  #logOf(id: string): OpenLog {
    let log = this.#logs.get(id);
    if (log === undefined) {
      log = { generation: 0, descriptor: null, sizeBytes: 0 };
      this.#logs.set(id, log);
    }
    return log;
  }

  async #readLog(id: string, generation: number): Promise<string> {
    const path = this.#logPath(id, generation);
    try {
      return await readFile(path, 'utf8');
    } catch (error) {
      throw unreadable(path, error);
    }
  }

  #logPath(id: string, generation: number): string {
    return join(this.#folder, `${id}.${generation}.log`);
  }

  /** Ascending. */
  async #logNumbers(id: string): Promise<number[]> {
    const names = await readdir(this.#folder);
    return names
      .filter((name) => name.startsWith(`${id}.`) && /^\d+\.log$/.test(name.slice(id.length + 1)))
      .map((name) => Number.parseInt(name.slice(id.length + 1), 10))
      .sort((one, other) => one - other);
  }

  /** The new name of a file is kept with its folder. */
  async #syncFolder(): Promise<void> {
    const folder = await open(this.#folder, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }
}

/** Makes a folder and those above it. Node's own way to do that never returns where a file system, such as `/proc`, takes no folders. */
function makeFolder(path: string): void {
  if (existsSync(path)) {
    if (statSync(path).isDirectory()) return;
    throw new Error('it is a file');
  }
  if (!existsSync(dirname(path))) makeFolder(dirname(path));
  mkdirSync(path, { mode: ownersOnly.folder });
}

function unreadable(path: string, cause: unknown): IModelError {
  return IModelError.of('config', `Cannot read ${path}: ${(cause as Error).message}`, { field: path }, { cause });
}
