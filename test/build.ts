import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The built program, as a user would start it. */
export const programPath = fileURLToPath(new URL('../dist/src/cli/main.js', import.meta.url));

/**
 * Builds what tests start as processes of their own; a second when nothing has changed. Whether the types are right is for
 * `npm run types` to say: a mistake in one file must not keep the tests of all others from running.
 */
export default function setup(): void {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const built = spawnSync('npm', ['run', '--silent', 'build'], { cwd: root, encoding: 'utf8' });
  if (!existsSync(programPath)) throw new Error(`The build brought no program:\n${built.stdout}${built.stderr}`);
}
