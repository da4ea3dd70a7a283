import { fstatSync, writeSync } from 'node:fs';

/** What may wait for a reader that has stopped, in characters. */
const waitingLimit = 4 * 1_024 * 1_024;

const lineEnd = 10;

/** How long lines are gathered, in milliseconds: a busy server would pay for a write, and for waking its reader, with every call. */
const gatherMs = 10;

/** How long the end of a program waits for its last lines, in milliseconds. */
const flushMs = 1_000;

/** How long a program whose lines nobody takes has to set its exit code, in milliseconds. */
const lastTurnMs = 50;

/** Lines on stdout of a program that goes on whatever becomes of them. */
export interface LineOutput {
  /** Writes a line with those that come within the same moment; it is made only then. What cannot be made or written is lost, and counted. Never throws. */
  write(line: () => string): void;
  /** Resolves when all is written, or after a second without; then the process ends with its exit code even so. */
  close(): Promise<void>;
}

/**
 * Opens stdout for a log. A reader that stops reading, or that is gone, and a disk that is full cost lines: never time, never the process.
 *
 * @param lost - Makes the line that tells, once there is room again, how many are missing.
 */
export function openLineOutput(lost: (count: number) => string): LineOutput {
  const { stdout, stderr } = process;
  // Without a listener the first line after the reader has gone would end the process.
  for (const stream of [stdout, stderr]) if (stream.listenerCount('error') === 0) stream.on('error', () => {});
  const put = isFile() ? putInFile : putInStream;
  let missing = 0;
  let waiting: (() => string)[] = [];
  const flush = (): void => {
    const lines = waiting;
    waiting = [];
    if (lines.length === 0) return;
    if (missing > 0 && put(`${lost(missing)}\n`) === 0) missing = 0;
    if (missing > 0) {
      missing += lines.length;
      return;
    }
    let text = '';
    for (const line of lines) {
      try {
        text += `${line()}\n`;
      } catch {
        missing += 1;
      }
    }
    missing += put(text);
  };
  process.once('exit', flush);
  return {
    write(line) {
      if (waiting.push(line) === 1) setTimeout(flush, gatherMs).unref();
    },
    async close() {
      flush();
      process.off('exit', flush);
      const endsAt = performance.now() + flushMs;
      while (stdout.writableLength > 0 && !stdout.destroyed && performance.now() < endsAt) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      // What still waits for a reader would keep the process alive, and cannot be taken back.
      if (stdout.writableLength > 0) setTimeout(() => process.exit(), lastTurnMs);
    },
  };
}

function isFile(): boolean {
  try {
    const kind = fstatSync(1);
    return kind.isFile() || (kind.isCharacterDevice() && !process.stdout.isTTY);
  } catch {
    return false;
  }
}

let isTorn = false;

/**
 * Not by way of Node's stream, which a full disk would end for good.
 *
 * @returns How many lines of the text could not be written whole.
 */
function putInFile(text: string): number {
  const begin = isTorn ? 1 : 0;
  const bytes = Buffer.from(isTorn ? `\n${text}` : text);
  try {
    const written = writeSync(1, bytes);
    isTorn = written < bytes.length && bytes[written - 1] !== lineEnd;
    return linesIn(bytes.subarray(Math.max(begin, written)));
  } catch {
    return linesIn(bytes.subarray(begin));
  }
}

function linesIn(bytes: Buffer): number {
  return bytes.reduce((count, byte) => (byte === lineEnd ? count + 1 : count), 0);
}

/** @returns As {@link putInFile}. */
function putInStream(text: string): number {
  const { stdout } = process;
  if (stdout.destroyed || stdout.writableLength > waitingLimit) return linesIn(Buffer.from(text));
  stdout.write(text);
  return 0;
}
