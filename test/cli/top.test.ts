import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import { topLines } from '../../src/cli/top-screen.ts';
import type { Frame } from '../../src/dashboard/frame.ts';
import { iModel } from '../../src/imodel.ts';
import { programPath } from '../build.ts';
import { connectTestBus, uniqueId } from '../integration/connect-test-bus.ts';
import { until } from '../integration/private-server.ts';
import { folder, jsonLines, runProgram, startProgram } from './program.ts';

const nats = inject('natsUrl');

/** A busy iModel on the server of the tests. */
async function serveBusy(): Promise<string> {
  const bus = await connectTestBus();
  const id = uniqueId();
  const model = new iModel({ id, model: 'scripted/slow', delay_ms: 60_000, concurrencyLimit: 1, limitRequests: 10 });
  model.serve(bus);
  const calls = ['runs', 'waits'].map((callId) => model.invoke({}, { callId, caller: 'somebody' }));
  await bus.flush();
  onTestFinished(async () => {
    await model.close();
    await Promise.allSettled(calls);
    await bus.close();
  });
  return id;
}

describe('imodel top', () => {
  it('prints once for people and for programs, where there is no terminal', async () => {
    const id = await serveBusy();
    const [text, json] = await Promise.all([
      runProgram(['top', '--once', '--nats', nats]),
      runProgram(['top', '--once', '--json', '--nats', nats]),
    ]);
    expect(text.code).toBe(0);
    const lines = text.stdout.split('\n');
    const of = (start: string): string => lines.find((line) => line.startsWith(start)) ?? '';
    expect(of(id)).toMatch(/busy +1\/100 +1\/1 +█{9}░ 9\/10 +no limit +(1 min|\d+ s) +closed/);
    expect(of('runs')).toMatch(new RegExp(`^runs +${id} +somebody +sending`));
    expect(of('waits')).toMatch(new RegExp(`^waits +${id} +somebody +queued +1 `));
    expect(text.stdout).not.toContain('\u001b');
    const [whole] = jsonLines(json.stdout);
    expect(jsonLines(json.stdout)).toHaveLength(1);
    expect(whole?.models).toContainEqual(expect.objectContaining({ id, mode: 'busy', running: 1 }));
    expect(whole?.calls).toContainEqual(
      expect.objectContaining({ id: 'waits', model: id, stage: 'queued', position: 1 }),
    );
  });

  it('prints again and again without a terminal, until interrupted', async () => {
    const program = startProgram(['top', '--json', '--interval', '100ms', '--nats', nats]);
    await program.until(/\n.*\n.*\n/);
    program.child.kill('SIGINT');
    expect((await program.ended).code).toBe(130);
  });

  it('serves the iModels of a file and shows them', async () => {
    const path = join(folder, `${uniqueId()}.yaml`);
    writeFileSync(path, 'models:\n  mine: { model: scripted/mine }\n');
    const { code, stdout } = await runProgram(['top', '--config', path, '--once']);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^1 iModel, 0 running.*\n\nIMODEL.*\nmine +idle/)]);
  });

  it('draws on a terminal, follows its size, and gives it back as it was when q is pressed', async () => {
    const id = await serveBusy();
    const terminal = await openTerminal(['top', '--nats', nats], { rows: 12, columns: 60 });
    await until(() => terminal.text().includes(id));
    expect(terminal.text()).toContain('\u001b[?1049h');
    expect(longestLine(terminal.text())).toBeLessThanOrEqual(60);
    terminal.forget();
    terminal.resize(30, 200);
    await until(() => /PROBLEM/.test(terminal.text()));
    expect(longestLine(terminal.text())).toBeGreaterThan(60);
    terminal.type('q');
    expect(await terminal.ended).toBe(0);
    expect(terminal.text()).toContain('\u001b[?1049l');
  });

  it('ends with Ctrl-C', async () => {
    const terminal = await openTerminal(['top', '--nats', nats], { rows: 12, columns: 120 });
    await until(() => terminal.text().includes('q ends it'));
    terminal.type('\u0003');
    expect(await terminal.ended).toBe(130);
  });
});

describe('the screen', () => {
  const frame: Frame = { at: 60_000, whole: true, models: [], gone: [], calls: [], removed: [], timeline: [] };

  it('fits its size, and shows the calls that live first', () => {
    const calls = Array.from({ length: 50 }, (_, index) => ({
      key: `m/call-${index}`,
      model: 'm',
      id: `call-${index}`,
      stage: index < 45 ? ('completed' as const) : ('queued' as const),
      queued_at: 0,
      chunks: 0,
      ...(index < 45 ? { ended_at: index } : { position: 50 - index }),
    }));
    const lines = topLines({ ...frame, calls }, 'here', { rows: 12, columns: 40 });
    expect(lines).toHaveLength(12);
    expect(lines.every((line) => [...line].length <= 40)).toBe(true);
    expect(lines.slice(5).map((line) => line.split(' ')[0])).toEqual([
      'call-49',
      'call-48',
      'call-47',
      'call-46',
      'call-45',
      'call-44',
      'call-43',
    ]);
  });

  it('lets nobody steer the terminal', () => {
    const calls = [
      {
        key: 'm/c',
        model: 'm',
        id: 'c',
        stage: 'queued' as const,
        queued_at: 0,
        chunks: 0,
        caller: '\u001b]0;x\u0007\u202e',
      },
    ];
    const text = topLines({ ...frame, calls }, 'here', { rows: null, columns: null }).join('\n');
    expect(text).toContain('·]0;x··');
    expect(text).not.toMatch(/[^\P{Cc}\n]/u);
  });
});

interface Terminal {
  text(): string;
  forget(): void;
  type(keys: string): void;
  resize(rows: number, columns: number): void;
  /** Resolves with the exit code. */
  readonly ended: Promise<number>;
}

/** Starts `imodel` on a terminal of its own. */
async function openTerminal(
  args: readonly string[],
  { rows, columns }: { rows: number; columns: number },
): Promise<Terminal> {
  const name = join(folder, uniqueId());
  const words = [process.execPath, programPath, ...args].map((word) => `'${word}'`).join(' ');
  const command = `stty rows ${rows} cols ${columns}; tty > ${name}; exec ${words}`;
  const env = { PATH: '/usr/bin:/bin', HOME: folder, TERM: 'xterm', SHELL: '/bin/sh' };
  const child = spawn('script', ['--quiet', '--return', '--flush', '--command', command, '/dev/null'], { env });
  onTestFinished(() => void child.kill('SIGKILL'));
  let text = '';
  child.stdout.on('data', (data) => {
    text += String(data);
  });
  const ended = new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? -1)));
  await until(() => text.includes('\u001b[?1049h'));
  return {
    text: () => text,
    forget: () => {
      text = '';
    },
    type: (keys) => void child.stdin.write(keys),
    resize: (height, width) => {
      const path = readFileSync(name, 'utf8').trim();
      spawnSync('stty', ['-F', path, 'rows', String(height), 'cols', String(width)]);
    },
    ended,
  };
}

/** How wide the widest line is that was drawn. */
function longestLine(text: string): number {
  const lines = text.split('\u001b[H').flatMap((screen) => screen.split('\r\n'));
  return Math.max(...lines.map((line) => [...stripVTControlCharacters(line).replaceAll('\r', '')].length));
}
