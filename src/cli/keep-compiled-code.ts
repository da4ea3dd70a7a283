import { setFlagsFromString } from 'node:v8';

/** How long a program must have been idle before its memory is given back, in milliseconds. */
const idleMs = 600_000;

/**
 * Has V8 wait longer than its 8 seconds before it shrinks the heap of an idle program. What it collects then are also the hidden classes of which no
 * object is left, and with them all code that was compiled for them: a server that had nothing to do for some seconds would meet the next burst of
 * requests with code as slow as after its start. It counts from the first collection on, so it is to be said before anything large is loaded.
 *
 * @see {@link https://nodejs.org/api/v8.html#v8setflagsfromstringflags}; the flag is known to Node 20 to 24.
 */
export function keepCompiledCode(): void {
  setFlagsFromString(`--gc-memory-reducer-start-delay-ms=${idleMs}`);
}
