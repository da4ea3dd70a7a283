import { readFile } from 'node:fs/promises';
import { IModelError } from '../errors.ts';

/**
 * The text of a file that somebody named.
 *
 * @param field - What named it, for the error.
 * @throws IModelError `config` when it cannot be read.
 */
export async function readTextFile(path: string, field = 'file'): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : (cause as Error).message;
    throw IModelError.of('config', `Cannot read ${path}: ${why}`, { field, value: path }, { cause });
  }
}
