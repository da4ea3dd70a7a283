import { anthropicMessagesRequest } from '../../schemas/requests/anthropic-messages.ts';
import { messageView } from './anthropic-reply.ts';
import { toAnthropicWire } from './anthropic-request.ts';
import { AnthropicReading } from './anthropic-stream.ts';
import type { HttpEndpointKind, Protocol } from './protocol.ts';

/**
 * Anthropic's messages protocol, `POST messages`, as data for a provider's list of endpoints.
 *
 * @see {@link https://docs.claude.com/en/api/messages} and {@link https://docs.claude.com/en/api/messages-streaming} (read 2026-11)
 */
export function anthropicMessages(): HttpEndpointKind {
  return {
    path: 'messages',
    aliases: ['chat'],
    protocol: messagesProtocol,
    timeout: 600,
    requiresTokens: true,
  };
}

const messagesProtocol: Protocol = {
  schema: anthropicMessagesRequest,
  framing: 'sse',
  toWire: toAnthropicWire,
  finishWire(payload, streaming) {
    const { stream: _stream, ...rest } = payload;
    return streaming ? { ...rest, stream: true } : rest;
  },
  fromWire: messageView,
  openStream: (answer) => new AnthropicReading(answer),
};
