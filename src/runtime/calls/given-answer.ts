import type { AnswerView } from '../../../schemas/chunk.ts';
import { Answer } from '../../endpoints/answer.ts';
import type { ChunkSink, EndpointReply } from '../../endpoints/endpoint.ts';

/** Ends a call with an answer that did not come from its endpoint; a reader of chunks gets it as such. */
export function giveAnswer(sink: ChunkSink | null, reply: EndpointReply): EndpointReply {
  if (sink !== null) writeAnswer(sink, reply.view);
  return reply;
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
