import { anthropicDialect } from './anthropic-dialect.ts';
import { readStream } from './chat-completions.ts';
import type { Shape } from './dialect.ts';
import { writeMessage } from './messages-answer.ts';
import { fitMessages } from './messages-request.ts';
import { MessagesStreamEncoder } from './messages-stream.ts';

/** `POST /v1/messages`: Anthropic's protocol for every iModel that chats. */
export const messages: Shape = {
  dialect: anthropicDialect,
  read(body, target) {
    return { streaming: readStream(body), includeUsage: true, ...fitMessages(body, target) };
  },
  write: writeMessage,
  openStream: (context) => new MessagesStreamEncoder(context),
};
