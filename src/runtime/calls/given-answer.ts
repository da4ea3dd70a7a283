import { stepCall } from '../../../actors/call.ts';
import type { AnswerView } from '../../../schemas/chunk.ts';
import { Answer } from '../../endpoints/answer.ts';
import type { ChunkSink, EndpointReply } from '../../endpoints/endpoint.ts';
import type { ApiCalling } from './api-calling.ts';

/** Ends a call with an answer that did not come from its endpoint; a reader of chunks gets it as such. */
export function giveAnswer(sink: ChunkSink | null, reply: EndpointReply): EndpointReply {
  if (sink !== null) writeAnswer(sink, reply.view);
  return { ...reply, isUnasked: true };
}

/** Ends a submitted call with an answer that is there already, as if it had run just now: it needs no turn and no units. */
export function answerAtOnce(call: ApiCalling, reply: EndpointReply, at: number): void {
  const { row } = call;
  if (row === null) return;
  row.queuedAt = at;
  row.startedAt = at;
  for (const event of ['call.enqueue', 'call.dispatch', 'call.complete'] as const)
    row.state = stepCall(row.state, event);
  call.bring(reply);
  call.end(null, null, at);
}

/** Writes a whole answer as the chunks of a stream. */
export function writeAnswer(sink: ChunkSink, view: AnswerView): void {
  const answer = new Answer(sink, 'hook');
  if (view.thinking !== '') answer.writeThinking(view.thinking);
  if (view.text !== '') answer.writeText(view.text);
  for (const use of view.toolUses) {
    const call = answer.openTool(use);
    answer.writeToolDelta(call, use.rawArguments ?? JSON.stringify(use.input));
    answer.closeTool(call);
  }
  answer.usage = view.usage;
  answer.finishReason = view.finishReason;
  answer.rawFinishReason = view.finishReason;
  answer.finish();
}
