import { constants } from 'node:os';
import { IModelError } from '../errors.ts';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** What a person or a supervisor wants when they send a signal, and a reader who has gone. */
export interface Interrupt {
  /** Aborts at the first signal, with an `IModelError` of code `cancelled`. */
  readonly signal: AbortSignal;
  /** The exit code that the first signal asks for; null while there was none. */
  readonly exitCode: number | null;
  /** Hears no signals any more. */
  release(): void;
}

/**
 * Turns signals into an abort.
 *
 * @param onSecond - What a further signal does. @defaultValue ends the process at once
 */
export function listenForInterrupt(onSecond: (exitCode: number) => void = (code) => process.exit(code)): Interrupt {
  const controller = new AbortController();
  let exitCode: number | null = null;
  const interrupted = (code: number, why: string): void => {
    if (exitCode !== null) {
      onSecond(exitCode);
      return;
    }
    exitCode = code;
    controller.abort(IModelError.of('cancelled', `Cancelled by ${why}`, { reason: why }));
  };
  const onSignal = (name: NodeJS.Signals): void => interrupted(128 + constants.signals[name], name);
  // Whoever read our output has gone, as `head` does: nobody wants the rest.
  const onOutputError = (error: NodeJS.ErrnoException): void => {
    if (error.code !== 'EPIPE') throw error;
    if (exitCode === null) interrupted(128 + constants.signals.SIGPIPE, 'the reader of its output');
  };
  for (const name of signals) process.on(name, onSignal);
  process.stdout.on('error', onOutputError);
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode;
    },
    release() {
      for (const name of signals) process.off(name, onSignal);
    },
  };
}
