import { setTimeout as sleep } from 'node:timers/promises';
import {
  descendantsOf,
  isAlive,
  listProcesses,
  type ProcessRow,
  processesWithVariable,
  runVariable,
} from './process-table.ts';
import { type ChildProgram, sendSignal } from './spawn.ts';

/** How often survivors are looked for, since a process may have forked between the look and the signal. */
const sweeps = 10;

/**
 * Ends a program with everything it started, and resolves when all of it is gone.
 *
 * Order: the tree is read; the group gets SIGTERM; after the grace the group gets SIGKILL; whoever of the tree still lives, or carries the
 * run's marker in its environment, gets SIGKILL. The tree is read first, because tool commands in sessions of their own belong to `init`
 * once their program has died and could not be found any more on systems that hide environments.
 *
 * @param graceMs - Time between SIGTERM and SIGKILL. 0 kills at once.
 */
export async function terminate(program: ChildProgram, runId: string, graceMs: number): Promise<void> {
  const known = new Map<number, ProcessRow>();
  const remember = (rows: readonly ProcessRow[]) => {
    for (const row of rows) known.set(row.pid, row);
  };
  // Once it was collected, its id may belong to somebody else, and nobody is its child any more.
  if (program.exit === null) remember(descendantsOf(program.pid));
  if (graceMs > 0) {
    program.signalGroup('SIGTERM');
    const grace = new AbortController();
    await Promise.race([
      program.exited,
      sleep(graceMs, undefined, { signal: grace.signal, ref: true }).catch(() => undefined),
    ]);
    grace.abort();
  }
  if (program.exit === null) {
    remember(descendantsOf(program.pid));
    program.signalGroup('SIGKILL');
  }
  await sweep(known, program.pid, runId);
  await program.exited;
  await sweep(known, program.pid, runId);
}

/** Kills what is left of the tree and of the marked processes, until a look finds nothing. */
async function sweep(known: ReadonlyMap<number, ProcessRow>, leader: number, runId: string): Promise<void> {
  for (let round = 0; round < sweeps; round += 1) {
    const rows = listProcesses();
    const survivors = new Map<number, ProcessRow>();
    for (const row of rows) if (known.get(row.pid)?.startedAt === row.startedAt) survivors.set(row.pid, row);
    for (const row of processesWithVariable(runVariable, runId, rows)) survivors.set(row.pid, row);
    survivors.delete(leader);
    if (survivors.size === 0) return;
    for (const row of survivors.values()) if (isAlive(row)) sendSignal(row.pid, 'SIGKILL');
    await sleep(10);
  }
}
