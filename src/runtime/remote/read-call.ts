import { type WireCall, wireCall } from '../../../schemas/call.ts';
import { finishReasons } from '../../../schemas/chunk.ts';
import type { Message } from '../../bus/bus.ts';
import { checkedReply, readReply } from './read-reply.ts';

/**
 * The terminal call of a reply. Nearly all have completed and called no tool: those are known by a glance, and the schema looks at the others
 * alone.
 *
 * @throws IModelError `malformed` for anything else; the failure it reports.
 */
export function readCall(message: Message): WireCall {
  const value = readReply(message);
  return isCompleted(value) ? value : checkedReply(wireCall, message);
}

/** Whether a value fits {@link wireCall} at a glance. False says nothing. */
export function isCompleted(value: unknown): value is WireCall {
  if (!isObject(value)) return false;
  const { id, created_at: createdAt, metadata, execution, failure } = value;
  const { text, thinking, tool_uses: toolUses, finish_reason: finishReason, usage } = value;
  return (
    typeof id === 'string' &&
    Number.isFinite(createdAt) &&
    isObject(metadata) &&
    isSuccess(execution) &&
    failure === null &&
    typeof text === 'string' &&
    typeof thinking === 'string' &&
    Array.isArray(toolUses) &&
    toolUses.length === 0 &&
    (finishReason === null || known.has(finishReason)) &&
    (usage === null || isUsage(usage))
  );
}

const known: ReadonlySet<unknown> = new Set(finishReasons);

function isSuccess(execution: unknown): boolean {
  if (!isObject(execution)) return false;
  const { status, duration, error, retryable } = execution;
  const isTimed = duration === null || Number.isFinite(duration);
  return status === 'completed' && isTimed && 'response' in execution && error === null && retryable === null;
}

function isUsage(usage: unknown): boolean {
  if (!isObject(usage)) return false;
  for (const name in usage) if (!Number.isFinite(usage[name])) return false;
  return 'input_tokens' in usage && 'output_tokens' in usage && 'total_tokens' in usage;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
