#!/usr/bin/env node
import { keepCompiledCode } from './keep-compiled-code.ts';

keepCompiledCode();
const [{ run }, { exitCodes }] = await Promise.all([import('./program.ts'), import('./report-error.ts')]);

let isCut = false;
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // Whoever read our output has gone, as `head` does: nobody wants the rest, and nothing is wrong.
  if (error.code === 'EPIPE' || isCut) return;
  isCut = true;
  process.stderr.write(`error: Cannot write the output: ${error.message}\n`);
});
process.stderr.on('error', () => {});

// The exit code is set instead of exiting, so that what is still being written to a pipe arrives.
run(process.argv.slice(2)).then((code) => {
  process.exitCode = isCut && code === exitCodes.ok ? exitCodes.failed : code;
});
