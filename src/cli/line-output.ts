import { fstatSync, writeSync } from 'node:fs';

/** What may wait for a reader that has stopped, in characters. */
const waitingLimit = 4 * 1_024 * 1_024;

/** How long the end of a program waits for its last lines, in milliseconds. */
const flushMs = 1_000;

/** How long a program whose lines nobody takes has to set its exit code, in milliseconds. */
const lastTurnMs = 50;

/** Lines on stdout of a program that goes on whatever becomes of them. */
export interface LineOutput {
  /** Writes a line. What cannot be written now waits; what cannot wait is lost, and counted. Never throws. */
  write(line: string): void;
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
  return {
    write(line) {
      if (missing > 0 && put(`${lost(missing)}\n`)) missing = 0;
      if (missing > 0 || !put(`${line}\n`)) missing += 1;
    },
    async close() {
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

/** Not by way of Node's stream, which a full disk would end for good. */
function putInFile(text: string): boolean {
  const bytes = Buffer.from(isTorn ? `\n${text}` : text);
  try {
    const written = writeSync(1, bytes);
    isTorn = written < bytes.length;
    return !isTorn;
  } catch {
    return false;
  }
}

function putInStream(text: string): boolean {
  const { stdout } = process;
  if (stdout.destroyed || stdout.writableLength > waitingLimit) return false;
  stdout.write(text);
  return true;
}
