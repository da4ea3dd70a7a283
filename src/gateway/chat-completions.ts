import type { Fields } from '../endpoints/endpoint.ts';
import { IModelError, printValue } from '../errors.ts';
import { record } from '../http/vendor-error.ts';
import { writeCompletion } from './chat-answer.ts';
import { ChatStreamEncoder } from './chat-stream.ts';
import type { Shape } from './dialect.ts';
import { fitChat } from './fit.ts';
import { openaiDialect } from './openai-dialect.ts';

/** `POST /v1/chat/completions`: OpenAI's chat protocol for every iModel that chats. */
export const chatCompletions: Shape = {
  dialect: openaiDialect,
  read(body, target) {
    const streaming = readStream(body);
    const includeUsage = streaming && record(body.stream_options)?.include_usage === true;
    return { ...fitChat(body, target), streaming, includeUsage };
  },
  write: writeCompletion,
  openStream: (context) => new ChatStreamEncoder(context),
};

/**
 * Whether a streamed answer is asked for.
 *
 * @throws IModelError `invalid_request` for what is neither true nor false.
 */
export function readStream({ stream }: Fields): boolean {
  if (stream === undefined || stream === null || typeof stream === 'boolean') return stream === true;
  const message = `Expected \`stream\` to be true or false, got ${printValue(stream)}`;
  throw IModelError.of('invalid_request', message, { path: 'stream', value: printValue(stream) });
}
