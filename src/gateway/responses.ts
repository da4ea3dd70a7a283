import { readStream } from './chat-completions.ts';
import type { Shape } from './dialect.ts';
import { openaiDialect } from './openai-dialect.ts';
import { writeResponse } from './responses-answer.ts';
import { fitResponses } from './responses-request.ts';
import { ResponsesStreamEncoder } from './responses-stream.ts';

/** `POST /v1/responses`: OpenAI's Responses protocol for every iModel that chats. */
export const responses: Shape = {
  dialect: openaiDialect,
  read(body, target) {
    return { streaming: readStream(body), includeUsage: true, ...fitResponses(body, target) };
  },
  write: writeResponse,
  openStream: (context) => new ResponsesStreamEncoder(context),
};
