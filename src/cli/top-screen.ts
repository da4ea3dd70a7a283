import type { ModelState } from '../../schemas/state.ts';
import { type Frame, type SeenCall, type SeenModel, slotMs, type TimelineSlot } from '../dashboard/frame.ts';
import { formatDuration, formatTable } from './format.ts';

/** The size of what is drawn on, in characters; null for no bounds. */
export interface ScreenSize {
  readonly columns: number | null;
  readonly rows: number | null;
}

/** Stretches of the timeline that are shown for each iModel: one minute. */
const shownSlots = 30;

/** How many characters a budget's bar is long. */
const barLength = 10;

const endings: ReadonlySet<string> = new Set(['completed', 'failed', 'cancelled', 'aborted', 'skipped']);

/**
 * What `imodel top` shows, as lines that fit a size: totals, the iModels, then as many calls as there is room for.
 *
 * @param where - Names the bus.
 */
export function topLines(frame: Frame, where: string, size: ScreenSize): string[] {
  const sum = (count: (state: SeenModel['state']) => number): number =>
    frame.models.reduce((total, { state }) => total + count(state), 0);
  const totals = [
    frame.models.length === 1 ? '1 iModel' : `${frame.models.length} iModels`,
    `${sum(({ running }) => running)} running`,
    `${sum(({ queue }) => queue.waiting + queue.outside)} waiting`,
    `on ${where}`,
  ];
  const lines = [totals.join(', '), '', ...modelLines(frame), ''];
  const room = size.rows === null ? Number.POSITIVE_INFINITY : Math.max(0, size.rows - lines.length - 1);
  const calls = [...frame.calls].sort(inOrder);
  if (calls.length > 0) lines.push(...callLines(calls.slice(0, room), frame.at));
  return lines.slice(0, size.rows ?? lines.length).map((line) => shorten(line, size.columns));
}

function modelLines({ models, timeline, at }: Frame): string[] {
  const rows = models.map(({ state }) => {
    const { budget, queue, counters, regions, cooling_until: coolingUntil } = state;
    const limit = state.concurrency_limit === null ? '' : `/${state.concurrency_limit}`;
    const isUsed = budget.requests.used + budget.tokens.used > 0 && budget.refreshes_at !== null;
    return [
      state.id,
      state.mode,
      `${queue.waiting + queue.outside}/${queue.capacity}`,
      `${state.running}${limit}`,
      budgetText(budget.requests),
      budgetText(budget.tokens),
      isUsed ? formatDuration(roundUp((budget.refreshes_at ?? at) - at)) : '',
      regions.breaker,
      coolingUntil === null ? '' : formatDuration(roundUp(coolingUntil - at)),
      String(counters.completed),
      String(counters.failed + counters.aborted + counters.skipped),
      sparkline(timeline, state.id, at),
    ];
  });
  const head = ['IMODEL', 'MODE', 'WAITING', 'RUNNING', 'REQUESTS LEFT', 'TOKENS LEFT', 'NEXT IN', 'BREAKER'];
  return formatTable([[...head, 'COOL-DOWN', 'DONE', 'FAILED', 'STARTS'], ...rows.map((row) => row.map(plain))]);
}

function callLines(calls: readonly SeenCall[], now: number): string[] {
  const rows = calls.map((call) => {
    const { started_at: startedAt, first_at: firstAt, ended_at: endedAt, rate } = call;
    const isOver = endings.has(call.stage);
    return [
      call.id.length > 20 ? `${call.id.slice(0, 19)}…` : call.id,
      call.model,
      call.caller ?? '',
      call.stage.replace('_', ' '),
      call.position === undefined ? '' : String(call.position),
      formatDuration(Math.max(0, (startedAt ?? endedAt ?? now) - call.queued_at)),
      startedAt === undefined || firstAt === undefined ? '' : formatDuration(firstAt - startedAt),
      isOver || rate === undefined || call.streaming !== true ? '' : rate.toFixed(1),
      call.tokens === undefined ? '' : String(call.tokens),
      call.cost_usd === undefined ? '' : `$${call.cost_usd.toFixed(4)}`,
      call.problem ?? '',
    ];
  });
  const head = ['CALL', 'IMODEL', 'CALLER', 'STAGE', 'PLACE', 'WAIT', 'FIRST', 'CHUNKS/S', 'TOKENS', 'COST', 'PROBLEM'];
  return formatTable([head, ...rows.map((row) => row.map(plain))]);
}

/** Running calls by their start, then waiting ones by their place, then ended ones, the latest first. */
function inOrder(one: SeenCall, other: SeenCall): number {
  return (
    rank(one) - rank(other) ||
    (other.ended_at ?? 0) - (one.ended_at ?? 0) ||
    (one.position ?? 0) - (other.position ?? 0) ||
    (one.started_at ?? one.queued_at) - (other.started_at ?? other.queued_at)
  );
}

function rank({ stage, started_at: startedAt }: SeenCall): number {
  if (endings.has(stage)) return 2;
  return startedAt === undefined ? 1 : 0;
}

function budgetText({ limit, remaining }: ModelState['budget']['requests']): string {
  if (limit === null || remaining === null) return 'no limit';
  const full = Math.round((barLength * remaining) / limit);
  return `${'█'.repeat(full)}${'░'.repeat(barLength - full)} ${Math.floor(remaining)}/${limit}`;
}

/** How many calls of an iModel started in each stretch of the last minute. */
function sparkline(timeline: readonly TimelineSlot[], id: string, now: number): string {
  const marks = '▁▂▃▄▅▆▇█';
  const latest = Math.floor(now / slotMs) * slotMs;
  const starts = new Map(timeline.filter(({ model }) => model === id).map((slot) => [slot.at, slot.starts]));
  const counts = Array.from(
    { length: shownSlots },
    (_, index) => starts.get(latest - (shownSlots - 1 - index) * slotMs) ?? 0,
  );
  const most = Math.max(1, ...counts);
  return counts
    .map((count) => (count === 0 ? ' ' : (marks[Math.ceil((count * marks.length) / most) - 1] ?? '')))
    .join('');
}

function roundUp(ms: number): number {
  return Math.max(0, Math.ceil(ms / 1_000) * 1_000);
}

/** What others write could steer the terminal. */
function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '·');
}

function shorten(line: string, columns: number | null): string {
  const letters = [...line];
  if (columns === null || letters.length <= columns) return line;
  return `${letters.slice(0, Math.max(0, columns - 1)).join('')}…`;
}
