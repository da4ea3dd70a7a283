import { randomUUID } from 'node:crypto';
import type { Writable } from 'node:stream';
import { IModelError } from '../errors.ts';
import { guard } from './guardian.ts';
import { LineSplitter } from './lines.ts';
import { watchUntilGone } from './live.ts';
import { runVariable } from './process-table.ts';
import { type ChildProgram, type ProcessExit, type SpawnOptions, spawnProgram } from './spawn.ts';
import { StderrTail } from './stderr-tail.ts';
import { terminate } from './terminate.ts';
import { unlessAborted } from './unless-aborted.ts';

/** How much of a program's complaints is kept. */
const stderrTailBytes = 64 * 1024;
/** How long output may still come after the program's own end: a child of it can hold the pipe open for ever. */
const drainMs = 1_000;
/** How long it may come if that child talks without a pause; what the program itself left in the pipe was read long before. */
const chatterMs = 5_000;

/** Who ended a program: itself, we because it had said all, the caller, one of the two clocks, or a reader that threw. */
export type EndedBy = 'itself' | 'lingering' | 'abort' | 'deadline' | 'stall';

/** One run of a program that writes lines. */
export interface ProgramOptions extends SpawnOptions {
  /** A folder of the run that must not outlive this process, whatever ends it; null without one. Who made it removes it otherwise. */
  readonly folder: string | null;
  /** Marks the run's processes, in a variable that is added to `env`. @defaultValue a new one */
  readonly runId?: string;
  /** Written to standard input. */
  readonly input: string;
  /** Called after the input was written; receives standard input to write more. Without it, it is closed at once. */
  readonly keepInput?: (stdin: Writable) => void;
  readonly signal: AbortSignal;
  /** Milliseconds from the start until the program is stopped; null for never. */
  readonly deadlineMs: number | null;
  /** Milliseconds without a byte on standard output until the program is stopped; null for never. Waiting for our own reader does not count. */
  readonly stallMs: number | null;
  /** Milliseconds between SIGTERM and SIGKILL. */
  readonly killGraceMs: number;
  /** Milliseconds a program may live on after {@link isSettled} became true. */
  readonly lingerMs: number;
  /** A longer line is dropped. */
  readonly maxLineBytes: number;
  /** Texts that must not show up in the error output that is kept. */
  readonly secrets: readonly string[];
  /** Called when the system accepted the program. */
  onStarted(): void;
  /**
   * Called with each line in order. While a returned promise is pending nothing more is read. When it throws, the program is stopped and
   * the run rejects with what it threw.
   *
   * @param whole - False for a last line without a newline.
   */
  onLine(line: string, whole: boolean): void | Promise<void>;
  /** Called for each line that passed {@link maxLineBytes}. */
  onOversized(): void;
  /** Whether the program has said everything it has to say. */
  isSettled(): boolean;
}

/** How a run ended. */
export interface ProgramEnd {
  readonly exit: ProcessExit;
  readonly endedBy: EndedBy;
  /** The tail of standard error, without terminal sequences and secrets. */
  readonly stderr: string;
}

/**
 * Starts a program, feeds it, reads its lines, and resolves when it is gone, with everything it started if it had to be stopped.
 *
 * A program that ends by itself may leave children behind on purpose (a server somebody asked for): those are not touched, only its pipes
 * are let go one second after its end.
 *
 * @throws {@link IModelError} what {@link spawnProgram} throws, or what `onLine` threw, after the program is gone.
 */
export async function runProgram(options: ProgramOptions): Promise<ProgramEnd> {
  if (options.signal.aborted) throw options.signal.reason;
  const { runId = randomUUID(), folder } = options;
  const program = await spawnProgram({ ...options, env: { ...options.env, [runVariable]: runId } });
  const unwatch = watchUntilGone(program, runId);
  const run = new Run({ ...options, runId }, program);
  const guardian = guard({ pid: program.pid, runId, folder });
  try {
    return await run.result();
  } finally {
    unwatch();
    await (await guardian)();
  }
}

class Run {
  readonly #options: ProgramOptions & { readonly runId: string };
  readonly #program: ChildProgram;
  readonly #splitter: LineSplitter;
  readonly #stderr: StderrTail;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #ending = new AbortController();
  #endedBy: EndedBy = 'itself';
  #stopping: Promise<void> | null = null;
  #readerIsBusy = false;
  #lastOutputAt = performance.now();
  #lingerIsSet = false;

  constructor(options: ProgramOptions & { readonly runId: string }, program: ChildProgram) {
    this.#options = options;
    this.#program = program;
    this.#splitter = new LineSplitter(options.maxLineBytes);
    this.#stderr = new StderrTail(stderrTailBytes, options.secrets);
  }

  async result(): Promise<ProgramEnd> {
    const { signal, deadlineMs, stallMs } = this.#options;
    const onAbort = () => this.#stop('abort');
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    if (deadlineMs !== null) this.#after(deadlineMs, () => this.#stop('deadline'));
    if (stallMs !== null) this.#watchStall(stallMs);
    void this.#program.exited.then(() => this.#watchDrain());
    this.#program.stderr.on('data', (bytes: Buffer) => this.#stderr.push(bytes));
    try {
      const reading = this.#read();
      this.#options.onStarted();
      this.#feed();
      await reading;
      const exit = await this.#program.exited;
      await this.#stopping;
      return { exit, endedBy: this.#endedBy, stderr: this.#stderr.text() };
    } catch (error) {
      this.#stop('abort');
      await this.#stopping;
      throw error;
    } finally {
      signal.removeEventListener('abort', onAbort);
      for (const timer of this.#timers) clearTimeout(timer);
      this.#program.stdin.destroy();
      this.#program.stdout.destroy();
      this.#program.stderr.destroy();
    }
  }

  #feed(): void {
    const { stdin } = this.#program;
    const { input, keepInput } = this.#options;
    if (keepInput === undefined) {
      stdin.end(input);
      return;
    }
    stdin.write(input);
    keepInput(stdin);
  }

  async #read(): Promise<void> {
    try {
      for await (const bytes of this.#program.stdout) {
        this.#lastOutputAt = performance.now();
        const { lines, oversized } = this.#splitter.push(bytes as Buffer);
        for (let index = 0; index < oversized; index += 1) this.#options.onOversized();
        for (const line of lines) await this.#hand(line, true);
      }
    } catch (error) {
      // The pipe was let go by the drain or by a stop; whatever else is thrown came from the reader.
      if (!isPrematureClose(error)) throw error;
    }
    const rest = this.#splitter.end();
    if (rest === '') this.#options.onOversized();
    else if (rest !== null) await this.#hand(rest, false);
  }

  async #hand(line: string, whole: boolean): Promise<void> {
    const pending = this.#options.onLine(line, whole);
    if (pending !== undefined) {
      this.#readerIsBusy = true;
      // A reader that waits for room must not hold up the end of a program that is being stopped.
      await unlessAborted(pending, this.#ending.signal);
      this.#readerIsBusy = false;
      this.#lastOutputAt = performance.now();
    }
    if (!this.#lingerIsSet && this.#options.isSettled()) {
      this.#lingerIsSet = true;
      this.#after(this.#options.lingerMs, () => this.#stopLingering());
    }
  }

  /** A program may have said its last word and then gone on after all. */
  #stopLingering(): void {
    if (this.#options.isSettled()) this.#stop('lingering');
    else this.#lingerIsSet = false;
  }

  #stop(cause: EndedBy): void {
    if (this.#stopping !== null) return;
    if (this.#program.exit !== null && cause !== 'abort') return;
    if (this.#program.exit === null) this.#endedBy = cause;
    this.#ending.abort();
    this.#stopping = terminate(this.#program, this.#options.runId, this.#options.killGraceMs);
  }

  #watchStall(stallMs: number): void {
    const look = () => {
      const silentMs = performance.now() - this.#lastOutputAt;
      if (this.#readerIsBusy) this.#after(stallMs, look);
      else if (silentMs >= stallMs) this.#stop('stall');
      else this.#after(stallMs - silentMs, look);
    };
    this.#after(stallMs, look);
  }

  /** After the program's end its pipes may be held open by a child: silence then counts as their end, and so does talking on and on. */
  #watchDrain(): void {
    const exitedAt = performance.now();
    const look = () => {
      const now = performance.now();
      const silentMs = now - Math.max(this.#lastOutputAt, exitedAt);
      if (this.#readerIsBusy) this.#after(drainMs, look);
      else if (silentMs >= drainMs || now - exitedAt >= chatterMs) {
        this.#program.stdout.destroy();
        this.#program.stderr.destroy();
      } else this.#after(drainMs - silentMs, look);
    };
    this.#after(drainMs, look);
  }

  #after(delayMs: number, callback: () => void): void {
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        callback();
      },
      Math.min(delayMs, 2 ** 31 - 1),
    );
    this.#timers.add(timer);
  }
}

function isPrematureClose(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === 'ERR_STREAM_PREMATURE_CLOSE';
}
