import {
  type AskPoint,
  type HookAnswerAt,
  type HookAsk,
  type HookAskAt,
  hookActions,
  hookAnswer,
  hookAsk,
} from '../../schemas/hook.ts';
import type { Bus, Message, Subscription } from '../bus/bus.ts';
import { failureHeaders } from '../bus/headers.ts';
import { subjects } from '../bus/subjects.ts';
import { IModelError, printValue, toFailure } from '../errors.ts';

/** Where a hook on the bus listens, and what it does with mistakes. */
export interface OnHookOptions {
  /** The id of the one iModel whose questions are answered. @defaultValue those of all */
  readonly model?: string;
  /** The name by which iModels ask this hook, where there are several at its point. @defaultValue none */
  readonly name?: string;
  /** Processes with the same one share the questions; every question gets one answer. @defaultValue 'hook' */
  readonly queue?: string;
  /** Hears of what the handler threw, and of messages that were no question. Must not throw. @defaultValue ignores */
  readonly onError?: (error: unknown, ask: HookAsk | null) => void;
}

/**
 * Answers a question; nothing, null and undefined let the call pass. What it throws is no veto: its iModel is told that the hook failed, and
 * does what its options say of such a hook. An answer about chunks that were only shown is not waited for.
 */
export type OnHookHandler<P extends AskPoint> = (
  ask: HookAskAt<P>,
) => HookAnswerAt<P> | null | undefined | Promise<HookAnswerAt<P> | null | undefined>;

/**
 * Answers what iModels ask of hooks on a bus, until closed. They ask only what their option `hooks` names.
 *
 * @param point - `pre_event_create`, `pre_invocation`, `post_invocation` or `chunk`.
 * @param handler - Gets the question with the names of the wire, as every program does.
 * @throws IModelError `config` for an unknown point, a handler that is no function, or a model or name that is no token of a subject.
 *
 * @example
 * ```ts
 * const guard = onHook(bus, 'pre_invocation', ({ request }) =>
 *   JSON.stringify(request).includes('password') ? { action: 'veto', reason: 'no passwords, please' } : { action: 'pass' },
 * );
 * ```
 */
export function onHook<P extends AskPoint>(
  bus: Bus,
  point: P,
  handler: OnHookHandler<P>,
  { model, name, queue = 'hook', onError = () => {} }: OnHookOptions = {},
): Subscription {
  if (!Object.hasOwn(hookActions, point)) {
    const value = printValue(point);
    const known = Object.keys(hookActions).join(', ');
    throw IModelError.of('config', `Expected \`point\` to be one of ${known}, got ${value}`, { field: 'point', value });
  }
  if (typeof handler !== 'function') {
    const value = printValue(handler);
    throw IModelError.of('config', `Expected \`handler\` to be a function, got ${value}`, { field: 'handler', value });
  }
  const take = async (message: Message): Promise<void> => {
    let ask: HookAskAt<P> | null = null;
    try {
      ask = readAsk(message, point);
      const answer = (await handler(ask)) ?? { action: 'pass' };
      if (message.replyTo !== undefined) message.respond(checkedAnswer(answer, point));
    } catch (error) {
      onError(error, ask);
      const failure = toFailure(error);
      if (message.replyTo !== undefined) message.respond({ failure }, { headers: failureHeaders(failure) });
    }
  };
  return bus.subscribe(subjects.hooksAt(point, name, model), take, { queue });
}

function readAsk<P extends AskPoint>(message: Message, point: P): HookAskAt<P> {
  const parsed = hookAsk.safeParse(message.value());
  if (parsed.success && parsed.data.point === point) return parsed.data as HookAskAt<P>;
  const [issue] = parsed.error?.issues ?? [];
  const path = issue?.path.map(String).join('.') ?? 'point';
  const text = `A message on ${message.subject} is no question: ${path}: ${issue?.message ?? 'another point'}`;
  throw IModelError.of('invalid_request', text, { path });
}

/** A mistake in an answer is found where it was made. */
function checkedAnswer(answer: unknown, point: AskPoint): unknown {
  const parsed = hookAnswer.safeParse(answer);
  const actions: readonly string[] = hookActions[point];
  if (parsed.success && actions.includes(parsed.data.action)) return answer;
  const path = parsed.error?.issues[0]?.path.map(String).join('.') ?? 'action';
  const text = `Expected the answer of a hook at ${point} to be ${actions.join(', ')}, got ${printValue(answer)}`;
  throw IModelError.of('invalid_request', text, { path, value: printValue(answer) });
}
