import { descendantsOf, listProcesses, processesWithVariable, runVariable } from './process-table.ts';
import { type ChildProgram, sendSignal } from './spawn.ts';
import { removeTemporaryFolders } from './temporary-folder.ts';

interface LiveRun {
  readonly program: ChildProgram;
  readonly runId: string;
}

const live = new Set<LiveRun>();
const deadlySignals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
let watchingExit = false;

/**
 * Promises that a child and its descendants do not outlive this process, however it ends short of SIGKILL, for which there is a guardian.
 *
 * Node dies of SIGTERM without telling anybody, so while children live a listener stands in: it kills them and lets the signal do its work.
 * Where the application listens for the signal itself, the decision is left to it; the children then end with the process's exit.
 *
 * @returns To be called when the child and its descendants are gone.
 */
export function watchUntilGone(program: ChildProgram, runId: string): () => void {
  const run = { program, runId };
  if (live.size === 0) for (const signal of deadlySignals) process.on(signal, onDeadlySignal);
  if (!watchingExit) process.on('exit', killAll);
  watchingExit = true;
  live.add(run);
  return () => {
    live.delete(run);
    if (live.size === 0) for (const signal of deadlySignals) process.off(signal, onDeadlySignal);
  };
}

/** How many children are watched. For tests and diagnosis. */
export function liveChildren(): number {
  return live.size;
}

function onDeadlySignal(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 1) return;
  killAll();
  process.off(signal, onDeadlySignal);
  process.kill(process.pid, signal);
}

function killAll(): void {
  for (const { program, runId } of live) {
    const rows = listProcesses();
    const tree = [...descendantsOf(program.pid, rows), ...processesWithVariable(runVariable, runId, rows)];
    program.signalGroup('SIGKILL');
    for (const row of tree) if (row.pid !== program.pid) sendSignal(row.pid, 'SIGKILL');
  }
  removeTemporaryFolders();
}
