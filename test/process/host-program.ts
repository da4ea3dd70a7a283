import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = join(root, 'node_modules', '.cache', 'imodel-host', String(process.pid));
const tsc = join(root, 'node_modules', '.bin', 'tsc');
let compiled: Promise<unknown> | undefined;

/**
 * Makes a program of its own that uses `src/process` and `src/endpoints`, for tests of what happens when the host dies. Compiled, since the
 * oldest Node we support reads no TypeScript; inside `node_modules`, since there it finds the packages it needs.
 *
 * @param source - A module of JavaScript that imports `'../src/…js'`.
 * @returns The path to run.
 */
export async function hostProgram(source: string): Promise<string> {
  compiled ??= execa(tsc, ['-p', root, '--outDir', folder, '--declaration', 'false', '--sourceMap', 'false'], {
    reject: false,
  });
  await compiled;
  const path = join(folder, 'hosts', `${createHash('sha256').update(source).digest('hex').slice(0, 12)}.mjs`);
  mkdirSync(join(folder, 'hosts'), { recursive: true });
  writeFileSync(path, source);
  return path;
}
