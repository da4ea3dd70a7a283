import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { folder, jsonLines, runProgram } from './program.ts';

it('says of every agent whether it is here, answers and is new enough, and how to get it', async () => {
  const bin = join(folder, 'bin');
  mkdirSync(bin, { recursive: true });
  const fake = join(bin, 'codex');
  writeFileSync(fake, '#!/bin/sh\necho "codex-cli 99.1.0"\n');
  chmodSync(fake, 0o755);
  const { code, stdout } = await runProgram(['doctor', '--json'], { env: { PATH: `${bin}:/usr/bin:/bin` } });
  expect(code).toBe(0);
  const reports = jsonLines(stdout) as { provider: string; usable: boolean; version: string | null; advice: string }[];
  expect(reports.map(({ provider }) => provider)).toEqual(['claude_code', 'codex', 'gemini_code', 'pi', 'ag2']);
  expect(reports.find(({ provider }) => provider === 'codex')).toMatchObject({ usable: true, version: '99.1.0' });
  const pi = reports.find(({ provider }) => provider === 'pi');
  expect(pi).toMatchObject({ usable: false, version: null });
  expect(pi?.advice).toMatch(/npm i/);
});

it('prints a table for people', async () => {
  const { code, stdout } = await runProgram(['doctor'], { env: { PATH: '/usr/bin:/bin' } });
  expect(code).toBe(0);
  expect(stdout).toMatch(/^PROVIDER +USABLE +VERSION/);
});
