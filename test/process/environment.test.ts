import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { childEnvironment, secretsOf } from '../../src/process/environment.ts';
import { findProgram, programIdentity } from '../../src/process/find-program.ts';
import { maskSecrets, StderrTail, stripTerminalSequences } from '../../src/process/stderr-tail.ts';

const host = {
  PATH: '/bin',
  HOME: '/home/x',
  LC_ALL: 'C',
  OPENAI_API_KEY: 'sk-openai',
  ANTHROPIC_API_KEY: 'sk-anthropic',
  CLAUDECODE: '1',
  AWS_SECRET_ACCESS_KEY: 'aws',
  TERM: 'xterm-256color',
};

test('lets only listed names pass', () => {
  expect(childEnvironment({ host, prefixes: ['ANTHROPIC_'], names: [] })).toEqual({
    PATH: '/bin',
    HOME: '/home/x',
    LC_ALL: 'C',
    ANTHROPIC_API_KEY: 'sk-anthropic',
    TERM: 'dumb',
  });
});

test('adds, overrides and removes as told, and never hands over a removed name', () => {
  const environment = childEnvironment({
    host,
    prefixes: [],
    names: ['OPENAI_API_KEY'],
    inheritAll: true,
    removed: ['CLAUDECODE'],
    extra: { OPENAI_API_KEY: null, HOME: '/elsewhere' },
  });
  expect(environment).not.toHaveProperty('CLAUDECODE');
  expect(environment).not.toHaveProperty('OPENAI_API_KEY');
  expect(environment).toMatchObject({ HOME: '/elsewhere', AWS_SECRET_ACCESS_KEY: 'aws', TERM: 'dumb' });
});

test('knows which values are secrets by their names', () => {
  expect(secretsOf({ PATH: '/bin', X_API_KEY: 'a', GITHUB_TOKEN: 'b', Y_SECRET: 'c' })).toEqual(['a', 'b', 'c']);
});

test('masks secrets and leaves short ones, which would hit ordinary words', () => {
  expect(maskSecrets('key sk-123456 and ab', ['sk-123456', 'ab'])).toBe('key *** and ab');
});

test('removes colours and titles', () => {
  expect(stripTerminalSequences('\u001b[31mred\u001b[0m \u001b]0;title\u0007end')).toBe('red end');
});

test('keeps the end of a flood', () => {
  const tail = new StderrTail(100, ['sk-secret']);
  for (let index = 0; index < 10_000; index += 1) tail.push(Buffer.from(`line ${index}\n`));
  tail.push(Buffer.from('the last line, sk-secret'));
  expect(tail.text()).toMatch(/the last line, \*\*\*$/);
  expect(tail.text().length).toBeLessThanOrEqual(100);
});

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

test('finds a program only in absolute folders of the given PATH, and one installed later at the next look', () => {
  const folder = mkdtempSync(join(tmpdir(), 'imodel-find-'));
  folders.push(folder);
  const environment = { PATH: `relative:${folder}` };
  expect(findProgram('some-agent', environment)).toBeNull();
  const path = join(folder, 'some-agent');
  writeFileSync(path, '#!/bin/sh\n');
  expect(findProgram('some-agent', environment)).toBeNull();
  chmodSync(path, 0o755);
  expect(findProgram('some-agent', environment)).toBe(path);
  expect(findProgram(path, {})).toBe(path);
  expect(findProgram(folder, {})).toBeNull();
  const before = programIdentity(path);
  expect(before).toContain(path);
  rmSync(path);
  expect(programIdentity(path)).toBeNull();
});
