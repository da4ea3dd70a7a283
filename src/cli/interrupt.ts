import { closeSync, openSync } from 'node:fs';
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

/** What signals, and a reader who has gone, do. */
export interface InterruptOptions {
  /** What a further signal does. @defaultValue ends the process at once */
  readonly onSecond?: (exitCode: number) => void;
  /** What SIGHUP does, unless it says that the terminal was closed. @defaultValue it is a signal like the others */
  readonly onHangup?: (() => void) | undefined;
  /** Whether the program goes on when nobody reads its output any more. @defaultValue false */
  readonly outlivesReader?: boolean;
}

/** Turns signals into an abort. */
export function listenForInterrupt(options: InterruptOptions = {}): Interrupt {
  const { onSecond = (code) => process.exit(code), onHangup, outlivesReader = false } = options;
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
  const onSignal = (name: NodeJS.Signals): void => {
    if (name === 'SIGHUP' && onHangup !== undefined && !isTerminalGone()) onHangup();
    else interrupted(128 + constants.signals[name], name);
  };
  // Whoever read our output has gone, as `head` does: nobody wants the rest.
  const onOutputError = (error: NodeJS.ErrnoException): void => {
    if (error.code !== 'EPIPE') throw error;
    if (exitCode === null) interrupted(128 + constants.signals.SIGPIPE, 'the reader of its output');
  };
  for (const name of signals) process.on(name, onSignal);
  if (!outlivesReader) process.stdout.on('error', onOutputError);
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

/** Whether the terminal that the program was started on is there no more. */
function isTerminalGone(): boolean {
  if (!process.stdout.isTTY) return false;
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return false;
  } catch {
    return true;
  }
}
