#!/usr/bin/env node
import { run } from './program.ts';

// The exit code is set instead of exiting, so that what is still being written to a pipe arrives.
run(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
