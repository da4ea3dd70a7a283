import { accessSync, constants, realpathSync, statSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';

/**
 * Finds a program by name, as a shell would, in the `PATH` of the environment it is going to get. Looked up at every call: a program that
 * was installed a moment ago is found.
 *
 * @param name - A bare name, or an absolute path, which is only checked.
 * @returns The absolute path, or null.
 */
export function findProgram(name: string, environment: Readonly<Record<string, string>>): string | null {
  if (isAbsolute(name)) return isExecutable(name) ? name : null;
  const folders = (environment.PATH ?? environment.Path ?? '').split(delimiter).filter((folder) => isAbsolute(folder));
  const endings = process.platform === 'win32' ? (environment.PATHEXT ?? '.COM;.EXE;.BAT;.CMD').split(';') : [''];
  for (const folder of folders) {
    for (const ending of endings) {
      const path = join(folder, name + ending.toLowerCase());
      if (isExecutable(path)) return path;
    }
  }
  return null;
}

/** What names one state of a program's file: the path behind its links, and when that was written. Null when it is gone. */
export function programIdentity(path: string): string | null {
  try {
    const real = realpathSync(path);
    return `${real}@${statSync(real).mtimeMs}`;
  } catch {
    return null;
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, process.platform === 'win32' ? constants.F_OK : constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
