import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { programPath } from '../build.ts';
import { uniqueId } from '../integration/connect-test-bus.ts';
import { folder } from './program.ts';

const lineOutput = new URL('line-output.js', pathToFileURL(programPath));

/** What a program of its own prints, to a pipe or into a file. */
function printed(code: string, into: 'a pipe' | 'a file') {
  const path = join(folder, uniqueId());
  const file = openSync(path, 'w');
  const program = `const { openLineOutput } = await import(${JSON.stringify(lineOutput)});
    const output = openLineOutput((count) => \`\${count} are missing\`);
    ${code}`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    env: {},
    encoding: 'utf8',
    stdio: ['ignore', into === 'a file' ? file : 'pipe', 'pipe'],
  });
  closeSync(file);
  return { status, stderr, stdout: into === 'a file' ? readFileSync(path, 'utf8') : stdout };
}

describe.each(['a pipe', 'a file'] as const)('lines for %s', (into) => {
  it('are gathered and made when they are written, in their order', () => {
    const code = `
      let made = [];
      for (const name of ['a', 'b', 'c']) output.write(() => { made.push(name); return name; });
      if (made.length > 0) throw new Error('made at once');
      await new Promise((resolve) => setTimeout(resolve, 100));
      output.write(() => made.join());
      await output.close();`;
    expect(printed(code, into)).toEqual({ status: 0, stderr: '', stdout: 'a\nb\nc\na,b,c\n' });
  });

  it('are lost and counted where they cannot be made, and harm no others', () => {
    const code = `
      output.write(() => 'before');
      output.write(() => { throw new Error('unspeakable'); });
      output.write(() => 'after');
      await new Promise((resolve) => setTimeout(resolve, 100));
      output.write(() => 'later');
      await output.close();`;
    const stdout = 'before\nafter\n1 are missing\nlater\n';
    expect(printed(code, into)).toEqual({ status: 0, stderr: '', stdout });
  });

  it('are written when the program ends, whatever ends it', () => {
    expect(printed("output.write(() => 'last');", into)).toEqual({ status: 0, stderr: '', stdout: 'last\n' });
    expect(printed("output.write(() => 'last'); process.exit(3);", into)).toMatchObject({
      status: 3,
      stdout: 'last\n',
    });
    const broken = printed("output.write(() => 'last'); throw new Error('broken');", into);
    expect(broken).toMatchObject({ status: 1, stdout: 'last\n', stderr: expect.stringContaining('broken') });
  });
});

it('counts lines, not writes, that a full disk takes nowhere', () => {
  const full = openSync('/dev/full', 'w');
  const program = `const { openLineOutput } = await import(${JSON.stringify(lineOutput)});
    let asked = 0;
    const output = openLineOutput((count) => { asked = count; return 'lost'; });
    for (let n = 0; n < 5; n += 1) output.write(() => 'line');
    await new Promise((resolve) => setTimeout(resolve, 100));
    output.write(() => 'line');
    await output.close();
    process.stderr.write(String(asked));`;
  const { stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    env: {},
    encoding: 'utf8',
    stdio: ['ignore', full, 'pipe'],
  });
  closeSync(full);
  expect(stderr).toBe('5');
});
