import type { Command } from 'commander';
import type { Bus } from '../bus/bus.ts';
import { Overview } from '../dashboard/overview.ts';
import { loadConfig } from '../runtime/load-config.ts';
import { type BusFlags, withBus } from './bus-command.ts';
import { defaultNatsUrl } from './connection.ts';
import { withoutLogin } from './format.ts';
import { addNatsOptions, type Finish, jsonOption, parseDuration } from './options.ts';
import { exitCodes } from './report-error.ts';
import { host } from './serve.ts';
import { silentLog } from './serve-log.ts';
import { TerminalScreen } from './terminal-screen.ts';
import { topLines } from './top-screen.ts';

/** How often a terminal is drawn on at most, and how often while nothing changes, in milliseconds. */
const drawMs = { least: 100, most: 1_000 };

/** With `--once`, all have answered when none has for so long; the longest wait. Milliseconds. */
const answersMs = { quiet: 400, longest: 3_000 };

interface TopFlags extends BusFlags {
  readonly config?: string;
  readonly once?: boolean;
  readonly interval: number;
}

/** `imodel top`: what all iModels of a bus are doing, live. */
export function addTop(program: Command, finish: Finish): void {
  addNatsOptions(program.command('top'), 'the NATS server they are served on (default: nats://127.0.0.1:4222)')
    .description('show what all served iModels are doing, live; q or Ctrl-C ends it')
    .option('-c, --config <file>', 'serve the iModels of this file, and show those')
    .option('--once', 'print it once and end')
    .option('--interval <time>', 'time between two prints where there is no terminal', parseDuration, 2_000)
    .addOption(jsonOption())
    .action(async (flags: TopFlags) => finish(await top(flags)));
}

async function top(flags: TopFlags): Promise<number> {
  if (flags.config !== undefined) return serveAndShow(flags, flags.config);
  const where = withoutLogin(flags.nats || defaultNatsUrl);
  return withBus(flags, async (bus, { signal }) => {
    await show(bus, where, flags, signal);
    return exitCodes.ok;
  });
}

/** Serves as `imodel serve` does, with the screen in place of the log. */
async function serveAndShow(flags: TopFlags, path: string): Promise<number> {
  const config = await loadConfig(path);
  const onReady = ({ bus }: { readonly bus: Bus }): (() => void) => {
    const leaving = new AbortController();
    // Whoever ends the screen ends the program, as a signal would.
    void show(bus, path, flags, leaving.signal).then(() => {
      if (!leaving.signal.aborted) process.kill(process.pid, 'SIGINT');
    });
    return () => leaving.abort();
  };
  const code = await host({ config, file: path, onReady, log: silentLog }, flags);
  return flags.once === true ? exitCodes.ok : code;
}

/** Shows it until it is told to end, or somebody at the terminal wants it to. */
async function show(bus: Bus, where: string, flags: TopFlags, signal: AbortSignal): Promise<void> {
  let changed = (): void => {};
  const overview = new Overview(bus, { inboxPrefix: flags.inboxPrefix, onChange: () => changed() });
  try {
    if (flags.once === true) {
      await answered((listener) => {
        changed = listener;
      }, signal);
      print(overview, where, flags);
    } else if (flags.json === true || !process.stdout.isTTY) {
      await printOften(overview, where, flags, signal);
    } else {
      await draw(
        overview,
        where,
        (listener) => {
          changed = listener;
        },
        signal,
      );
    }
  } finally {
    overview.close();
  }
}

type Listen = (listener: () => void) => void;

/** Resolves when everybody who is there has answered. */
function answered(listen: Listen, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const longest = setTimeout(resolve, answersMs.longest);
    let quiet = setTimeout(resolve, answersMs.quiet);
    listen(() => {
      clearTimeout(quiet);
      quiet = setTimeout(resolve, answersMs.quiet);
    });
    longest.unref();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function print(overview: Overview, where: string, { json = false }: TopFlags): void {
  const { at, models, calls, timeline } = overview.whole();
  if (json) {
    const states = models.map(({ state }) => state);
    process.stdout.write(`${JSON.stringify({ at, models: states, calls, timeline })}\n`);
    return;
  }
  const lines = topLines(overview.whole(), where, { columns: null, rows: null });
  process.stdout.write(`${lines.join('\n').trimEnd()}\n\n`);
}

async function printOften(overview: Overview, where: string, flags: TopFlags, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => print(overview, where, flags), flags.interval);
    signal.addEventListener('abort', () => {
      clearInterval(timer);
      resolve();
    });
  });
}

/** Draws on the terminal whenever something has changed, but not more often than anybody can see. */
async function draw(overview: Overview, where: string, listen: Listen, signal: AbortSignal): Promise<void> {
  using screen = new TerminalScreen(process.stdout, process.stdin);
  let timer: NodeJS.Timeout | undefined;
  let isSoon = false;
  const drawNow = (): void => {
    clearTimeout(timer);
    isSoon = false;
    timer = setTimeout(drawNow, drawMs.most);
    screen.draw(topLines(overview.whole(), `${where}; q ends it`, screen.size));
  };
  const drawSoon = (): void => {
    if (isSoon) return;
    isSoon = true;
    clearTimeout(timer);
    timer = setTimeout(drawNow, drawMs.least);
  };
  listen(drawSoon);
  screen.onResize = drawSoon;
  drawNow();
  await new Promise<void>((resolve) => {
    screen.onKey = (key) => {
      if (key === 'q') resolve();
      // In the mode in which single keys are heard, Ctrl-C is one of them.
      else if (key === '\u0003') process.kill(process.pid, 'SIGINT');
    };
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  clearTimeout(timer);
}
