import { mkdirSync, readFileSync, realpathSync } from 'node:fs';
import { isAbsolute, join, relative, resolve, sep } from 'node:path';
import { IModelError, printValue } from '../../errors.ts';

/**
 * Checks the text of a path that a request names: relative, without `..`, NUL or a drive letter. The file system is not asked.
 *
 * @throws {@link IModelError} `invalid_request` naming the field.
 */
export function requireInnerPath(field: string, path: string): void {
  const outside = isAbsolute(path) || /^[A-Za-z]:|^\\|\0/.test(path) || path.split(/[\\/]/).includes('..');
  if (outside) refuse(field, path, 'a relative path inside `repo`, without `..`');
}

/** Checks a path that may lie anywhere but must say so plainly: no `..`, no NUL. */
export function requirePlainPath(field: string, path: string): void {
  if (path.includes('\0') || path.split(/[\\/]/).includes('..')) refuse(field, path, 'a path without `..`');
}

/** The folder an agent works in, absolute, with links resolved. */
export interface Workspace {
  readonly repo: string;
  readonly cwd: string;
}

/**
 * Finds the working folder `repo/ws`, and makes `ws` when it is missing.
 *
 * @throws {@link IModelError} `invalid_request` when `repo` does not exist or a link leads `ws` out of it.
 */
export function openWorkspace(repo: string | undefined, ws: string | undefined): Workspace {
  const root = realPath(resolve(repo ?? '.'));
  if (root === null) throw notThere('repo', repo ?? '.');
  if (ws === undefined) return { repo: root, cwd: root };
  requireInnerPath('ws', ws);
  requireInside('ws', ws, root);
  try {
    mkdirSync(join(root, ws), { recursive: true });
  } catch (cause) {
    refuse('ws', ws, 'a folder, or one that can be made', cause);
  }
  return { repo: root, cwd: realPath(join(root, ws)) ?? root };
}

/**
 * The absolute path of a file that a request names, after a look at where links lead it.
 *
 * @param base - The folder the path is relative to: the child's working folder.
 */
export function resolveInside(field: string, path: string, { repo, cwd }: Workspace): string {
  requireInnerPath(field, path);
  const whole = join(cwd, path);
  requireInside(field, relative(repo, whole), repo);
  return whole;
}

/**
 * Reads a file that a request names, see {@link resolveInside}.
 *
 * @throws {@link IModelError} `invalid_request` when it cannot be read.
 */
export function readInside(field: string, path: string, workspace: Workspace): Buffer {
  const whole = resolveInside(field, path, workspace);
  try {
    return readFileSync(whole);
  } catch (cause) {
    refuse(field, path, 'a file that can be read', cause);
  }
}

/** Follows links as far as the path exists, and refuses when they lead out of the root. */
function requireInside(field: string, path: string, root: string): void {
  const parts = join(root, path).slice(root.length).split(sep).filter(Boolean);
  for (let length = parts.length; length > 0; length -= 1) {
    const real = realPath(join(root, ...parts.slice(0, length)));
    if (real === null) continue;
    if (real !== root && !real.startsWith(root.endsWith(sep) ? root : root + sep)) {
      refuse(field, path, 'a path inside `repo`, also behind links');
    }
    return;
  }
}

function realPath(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}

function notThere(field: string, path: string): IModelError {
  return IModelError.of(
    'invalid_request',
    `Expected \`${field}\` to name an existing folder, got ${printValue(path)}`,
    {
      path: field,
      value: path,
    },
  );
}

function refuse(field: string, path: string, wanted: string, cause?: unknown): never {
  const message = `Expected \`${field}\` to be ${wanted}, got ${printValue(path)}`;
  throw IModelError.of('invalid_request', message, { path: field, value: path }, cause === undefined ? {} : { cause });
}
