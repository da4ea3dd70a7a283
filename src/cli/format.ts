import type { Usage } from '../../schemas/chunk.ts';

/** Milliseconds as people read them: `3 ms`, `1.24 s`, `2 min 5 s`. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${Number((ms / 1_000).toFixed(ms < 10_000 ? 2 : 1))} s`;
  const seconds = Math.round(ms / 1_000);
  return `${Math.floor(seconds / 60)} min${seconds % 60 === 0 ? '' : ` ${seconds % 60} s`}`;
}

/** Tokens in and out: `12 + 34 tokens`. */
export function formatUsage(usage: Pick<Usage, 'inputTokens' | 'outputTokens'>): string {
  return `${usage.inputTokens} + ${usage.outputTokens} tokens`;
}

/** US dollars, small amounts with the digits that matter: `$0.00042`, `$1.27`. */
export function formatCost(usd: number): string {
  return `$${usd >= 0.1 || usd === 0 ? usd.toFixed(2) : Number(usd.toPrecision(2)).toFixed(Math.min(8, 1 - Math.floor(Math.log10(usd))))}`;
}

/** The time of day of an instant, to the millisecond, local. */
export function formatTime(at: number): string {
  const date = new Date(at);
  const digits = (value: number, width = 2): string => String(value).padStart(width, '0');
  return `${digits(date.getHours())}:${digits(date.getMinutes())}:${digits(date.getSeconds())}.${digits(date.getMilliseconds(), 3)}`;
}

/** Rows of cells as lines with aligned columns. A column is right-aligned when all its cells but the first are numbers. */
export function formatTable(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_cell, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  const numeric = widths.map((_width, column) => rows.slice(1).every((row) => /^\d+$/.test(row[column] ?? '')));
  return rows.map((row) =>
    row
      .map((cell, column) => (numeric[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}

/** A text in faint print where the stream is a terminal that has colours, unchanged elsewhere. */
export function faint(text: string, stream: NodeJS.WriteStream): string {
  return stream.isTTY && stream.hasColors() ? `\u001b[2m${text}\u001b[22m` : text;
}

/** Takes the user and password out of an address that is to be shown. */
export function withoutLogin(address: string): string {
  return address.replace(/^(\w+:\/\/)?[^@/]*@/, '$1');
}
