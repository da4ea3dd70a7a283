import type { ModelEventMessage } from '../../schemas/event.ts';
import { formatDuration, formatTime } from './format.ts';

/**
 * One event as one line: when, which iModel, what, and what there is to say about it. Callers and vendors have a say in it, so what would begin
 * another line or command a terminal is left out.
 */
export function eventLine(event: ModelEventMessage, idWidth = 0): string {
  return [
    formatTime(event.at),
    event.model_id.padEnd(idWidth),
    event.type.padEnd(15),
    [...(event.call_id === undefined ? [] : [event.call_id.slice(0, 8)]), ...details(event)].join('  '),
  ]
    .join('  ')
    .replace(/\p{Cc}+/gu, ' ')
    .trimEnd();
}

function details(event: ModelEventMessage): string[] {
  const { caller, status, failure, wait_ms: waitMs, duration_ms: durationMs, usage } = event;
  return [
    ...(caller === undefined ? [] : [`by ${caller}`]),
    ...(status === undefined ? [] : [status]),
    ...(durationMs === undefined ? [] : [formatDuration(durationMs)]),
    ...(waitMs === undefined || waitMs < 1 ? [] : [`waited ${formatDuration(waitMs)}`]),
    ...(usage === undefined ? [] : [`${usage.input_tokens} + ${usage.output_tokens} tokens`]),
    ...(failure === undefined ? [] : [`${failure.code}: ${failure.message}`]),
  ];
}
