import { runVariable } from './process-table.ts';

/**
 * What the guardian does: it waits for the end of its input, which comes when this process is gone, then kills the program's group, and
 * whoever carries the run's marker, until a look finds nobody. Arguments: the marker, the group, a folder to remove.
 *
 * A shell and what every system has: it must be small, and nothing of ours may be needed once we are gone.
 */
const script = `trap '' HUP INT TERM QUIT
while read -r _; do :; done
kill -s KILL -- "-$2" 2>/dev/null
for round in 1 2 3 4 5 6 7 8 9 10; do
  found=$(grep -lsF "$1" /proc/[0-9]*/environ)
  [ -n "$found" ] || break
  for file in $found; do pid=\${file#/proc/}; kill -s KILL "\${pid%/environ}" 2>/dev/null; done
  sleep 0.1 2>/dev/null || sleep 1
done
[ -z "$3" ] || rm -rf -- "$3"`;

/** What a guardian watches over. */
export interface Guarded {
  /** Leader of the program's group. */
  readonly pid: number;
  readonly runId: string;
  /** Removed when this process is killed: it may hold keys. */
  readonly folder: string | null;
}

/**
 * Starts a small process that ends a program when this process is killed in a way that leaves it no time: SIGKILL, or the kernel for want of
 * memory. It lives in a session of its own, holds nothing open, and costs about 2 ms and 1 MB. Where there is no shell nobody guards.
 *
 * @returns Dismisses it, and resolves when it is gone.
 */
export async function guard({ pid, runId, folder }: Guarded): Promise<() => Promise<void>> {
  if (process.platform === 'win32') return () => Promise.resolve();
  const { execa } = await import('execa');
  const marker = `${runVariable}=${runId}`;
  const guardian = execa('/bin/sh', ['-c', script, 'imodel-guardian', marker, String(pid), folder ?? ''], {
    env: { PATH: process.env.PATH ?? '/usr/bin:/bin' },
    extendEnv: false,
    detached: true,
    cleanup: false,
    buffer: false,
    reject: false,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  guardian.stdin?.on('error', () => {});
  return async () => {
    guardian.kill('SIGKILL');
    await guardian;
  };
}
