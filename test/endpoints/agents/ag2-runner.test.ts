import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, expect, test, vi } from 'vitest';
import { processesWithVariable } from '../../../src/process/process-table.ts';
import { hostProgram } from '../../process/host-program.ts';
import { critic, endless, llm, lookup, planner, python, runner, stubs, toolFolder } from './ag2-stand-in.ts';
import { noFolderLeft } from './harness.ts';

afterAll(noFolderLeft);

test('A48 a tool that prints does not disturb the protocol; the print goes to standard error', async () => {
  const request = {
    ...{
      v: 1,
      prompt: 'x',
      llm,
      tools: { lookup: 'mytools.search:lookup' },
      allow_tools: true,
      import_paths: [toolFolder(lookup)],
    },
    agents: [planner, critic],
  };
  const result = await execa(python, ['-u', runner], {
    input: `${JSON.stringify(request)}\n`,
    env: { PYTHONPATH: join(stubs, 'network'), PYTHONDONTWRITEBYTECODE: '1' },
  });
  const lines = result.stdout.split('\n').map((line) => JSON.parse(line) as { seq: number });
  expect(lines.map(({ seq }) => seq)).toEqual(lines.map((_, index) => index + 1));
  expect(result.stdout).not.toContain('printed by a tool');
  expect(result.stderr).toContain('printed by a tool');
});

test.each(['a control line', 'SIGTERM'])(
  'A49 the program tells a cancel by %s as error cancelled, exit code 130',
  async (how) => {
    const child = execa(python, ['-u', runner], {
      ...{
        env: { PYTHONPATH: join(stubs, 'network'), PYTHONDONTWRITEBYTECODE: '1' },
        stdin: 'pipe',
        reject: false,
        buffer: false,
      },
    });
    child.stdin.write(`${JSON.stringify({ v: 1, prompt: 'x', llm, agents: [endless, critic] })}\n`);
    let text = '';
    child.stdout.on('data', (bytes: Buffer) => {
      text += bytes.toString('utf8');
    });
    await vi.waitFor(() => expect(text).toContain('thinking'), { timeout: 10_000 });
    if (how === 'SIGTERM') child.kill('SIGTERM');
    else child.stdin.write('{"op":"cancel"}\n');
    expect((await child).exitCode).toBe(130);
    expect(JSON.parse(text.trim().split('\n').at(-1) ?? '')).toMatchObject({ t: 'error', kind: 'cancelled' });
  },
);

test('A49 when the host is killed the program ends by itself', async () => {
  const request = JSON.stringify({ v: 1, prompt: 'x', llm, agents: [endless, critic] });
  const marker = `host-killed-${process.pid}-${Date.now()}`;
  const host = await hostProgram(`
    import { spawn } from 'node:child_process';
    const env = { ...process.env, PYTHONPATH: ${JSON.stringify(join(stubs, 'network'))}, IMODEL_MARK: ${JSON.stringify(marker)}, PYTHONDONTWRITEBYTECODE: '1' };
    const child = spawn(${JSON.stringify(python)}, ['-u', ${JSON.stringify(runner)}], { env, detached: true, stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.write(${JSON.stringify(request)} + '\\n');
    child.stdout.on('data', (bytes) => String(bytes).includes('thinking') && process.stdout.write('up'));`);
  const run = execa(process.execPath, [host], { reject: false, buffer: false });
  await new Promise((resolve) => run.stdout.once('data', resolve));
  expect(processesWithVariable('IMODEL_MARK', marker)).toHaveLength(1);
  run.kill('SIGKILL');
  await vi.waitFor(() => expect(processesWithVariable('IMODEL_MARK', marker)).toEqual([]), { timeout: 5_000 });
});
