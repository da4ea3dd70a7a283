import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Name of the environment variable by which a run's processes are found again, even when they left its process group. */
export const runVariable = 'LIONAGI_RUN_ID';

/** One process as the operating system lists it. */
export interface ProcessRow {
  readonly pid: number;
  readonly parentPid: number;
  /** Whatever the system gives as start time: with the id it names one process for ever, though ids are used again. */
  readonly startedAt: string;
}

/**
 * Lists every living process; those that died and were not yet collected are left out.
 *
 * Synchronous, because it must also run while this process exits. Linux is read from `/proc` (about 20 µs a process); other systems are
 * asked through `ps`; where that fails, the list is empty and only the process group can be signalled.
 */
export function listProcesses(): ProcessRow[] {
  return process.platform === 'linux' ? listFromProc() : listFromPs();
}

/** The processes below `pid`, its children first; `pid` itself is not among them. */
export function descendantsOf(pid: number, rows: readonly ProcessRow[] = listProcesses()): ProcessRow[] {
  const found: ProcessRow[] = [];
  const parents = new Set([pid]);
  let grown = true;
  while (grown) {
    grown = false;
    for (const row of rows) {
      if (!parents.has(row.pid) && parents.has(row.parentPid)) {
        parents.add(row.pid);
        found.push(row);
        grown = true;
      }
    }
  }
  return found;
}

/**
 * The processes that carry an environment variable with exactly this value: also those whose parents died and that belong to `init` now.
 * Only Linux shows the environment of others; elsewhere the result is empty.
 */
export function processesWithVariable(
  name: string,
  value: string,
  rows: readonly ProcessRow[] = listProcesses(),
): ProcessRow[] {
  if (process.platform !== 'linux') return [];
  const wanted = `${name}=${value}`;
  return rows.filter((row) => row.pid !== process.pid && readEnvironment(row.pid).split('\0').includes(wanted));
}

/** Whether exactly this process, and not a later one with its id, still lives. */
export function isAlive(row: ProcessRow): boolean {
  if (process.platform === 'linux') return readStat(row.pid)?.startedAt === row.startedAt;
  return listFromPs().some((other) => other.pid === row.pid && other.startedAt === row.startedAt);
}

function listFromProc(): ProcessRow[] {
  let names: string[];
  try {
    names = readdirSync('/proc');
  } catch {
    return [];
  }
  const rows: ProcessRow[] = [];
  for (const name of names) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const row = readStat(pid);
    if (row !== null) rows.push(row);
  }
  return rows;
}

/** @see {@link https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html} for the fields: 3 state, 4 parent, 22 start time. */
function readStat(pid: number): ProcessRow | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command name stands in parentheses and may itself hold parentheses and blanks.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const [state, parentPid, startedAt] = [fields[0], fields[1], fields[19]];
    if (state === 'Z' || state === 'X' || startedAt === undefined) return null;
    return { pid, parentPid: Number(parentPid), startedAt };
  } catch {
    return null;
  }
}

function readEnvironment(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch {
    return '';
  }
}

function listFromPs(): ProcessRow[] {
  try {
    const text = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,stat=,lstart='], { encoding: 'utf8', timeout: 5_000 });
    return text.split('\n').flatMap((line) => {
      const match = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.+)$/.exec(line);
      if (match === null || match[3]?.startsWith('Z')) return [];
      return [{ pid: Number(match[1]), parentPid: Number(match[2]), startedAt: match[4] ?? '' }];
    });
  } catch {
    return [];
  }
}
