import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The folders of this process that exist, to be removed when it exits. */
const existing = new Set<string>();

/** Removes every folder that is still there. For the exit of this process alone. */
export function removeTemporaryFolders(): void {
  for (const path of existing) rmSync(path, { recursive: true, force: true });
  existing.clear();
}

/** A folder for one run, readable by this user alone. It comes into being with its first use, and {@link remove} must follow. */
export class TemporaryFolder {
  readonly #prefix: string;
  #path: string | null = null;
  #files = 0;

  /** @param prefix - Start of the folder's name, for people who look around. */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** The folder's absolute path. */
  get path(): string {
    if (this.#path === null) {
      this.#path = mkdtempSync(join(tmpdir(), `${this.#prefix}-`));
      existing.add(this.#path);
    }
    return this.#path;
  }

  /** Writes a file that only this user can read, and gives its path. `name` keeps its extension; a number makes it unique. */
  write(name: string, content: string | Buffer): string {
    this.#files += 1;
    const path = join(this.path, `${this.#files}-${name}`);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  }

  /** Writes a file under exactly this name, for programs that look for it. */
  writeAs(name: string, content: string): string {
    const path = join(this.path, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  }

  /** A folder inside, made when it is not there. */
  folder(name: string): string {
    const path = join(this.path, name);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return path;
  }

  /** Removes the folder with all it holds; once more is harmless. */
  async remove(): Promise<void> {
    if (this.#path === null) return;
    const path = this.#path;
    this.#path = null;
    await rm(path, { recursive: true, force: true, maxRetries: 3 });
    existing.delete(path);
  }
}
