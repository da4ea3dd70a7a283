import type { AnswerView, FinishReason, Usage } from '../../schemas/chunk.ts';
import { ollamaEmbedRequest, ollamaGenerateRequest } from '../../schemas/requests/ollama.ts';
import { IModelError } from '../errors.ts';
import { readVendorError, record } from '../http/vendor-error.ts';
import { type Answer, emptyView } from './answer.ts';
import type { Fields } from './endpoint.ts';
import { jsonCall } from './json-call.ts';
import { toGenerateWire } from './ollama-prompt.ts';
import { pullFirst } from './ollama-pull.ts';
import { count } from './openai-usage.ts';
import { type HttpEndpointKind, type StreamReading, VendorFault } from './protocol.ts';

/** Where Ollama's own routes are, when a base URL has no path of its own. */
const nativePath = '/api';

/**
 * Embeddings over Ollama's native route. It is known as `embeddings`, the older route's name, and calls `/api/embed`, its successor.
 *
 * @see {@link https://docs.ollama.com/api/embed} (read 2026-11)
 */
export function ollamaEmbed(): HttpEndpointKind {
  return jsonCall({
    path: 'embed',
    aliases: ['embeddings'],
    schema: ollamaEmbedRequest.extend(pullFirst.fields),
    baseUrl: 'http://localhost:11434/api',
    defaultBasePath: nativePath,
    timeout: 600,
    requiresTokens: true,
    transportFields: pullFirst.names,
    around: pullFirst.around,
    toWire({ prompt, ...rest }) {
      const input = rest.input ?? prompt;
      if (input === undefined) {
        throw IModelError.of('invalid_request', 'Expected `input` to be a text or a list of texts, got undefined', {
          path: 'input',
        });
      }
      return { ...rest, input };
    },
    view: (body) => ({ ...emptyView, usage: nativeUsage(record(body) ?? {}) }),
  });
}

/**
 * Completions over Ollama's native route, one-shot or as NDJSON.
 *
 * @see {@link https://docs.ollama.com/api/generate} (read 2026-11)
 */
export function ollamaGenerate(): HttpEndpointKind {
  return {
    path: 'generate',
    aliases: ['completion'],
    baseUrl: 'http://localhost:11434/api',
    defaultBasePath: nativePath,
    timeout: 600,
    requiresTokens: true,
    protocol: {
      schema: ollamaGenerateRequest.extend(pullFirst.fields),
      transportFields: pullFirst.names,
      around: pullFirst.around,
      framing: 'ndjson',
      toWire: toGenerateWire,
      // Without the field Ollama streams.
      finishWire: (payload, streaming) => ({ ...payload, stream: streaming }),
      fromWire: generateView,
      openStream: (answer) => new GenerateReading(answer),
    },
  };
}

function generateView(body: unknown): AnswerView {
  const reply = record(body) ?? {};
  return {
    text: String(reply.response ?? ''),
    thinking: String(reply.thinking ?? ''),
    toolUses: [],
    finishReason: doneReason(reply.done_reason),
    usage: nativeUsage(reply),
  };
}

function nativeUsage(reply: Fields): Usage | null {
  const input = count(reply.prompt_eval_count);
  const output = count(reply.eval_count);
  if (input === undefined && output === undefined) return null;
  const raw = Object.fromEntries(Object.entries(reply).filter(([name]) => /_(count|duration)$/.test(name)));
  return { inputTokens: input ?? 0, outputTokens: output ?? 0, totalTokens: (input ?? 0) + (output ?? 0), raw };
}

function doneReason(reason: unknown): FinishReason | null {
  if (reason === undefined || reason === null) return null;
  return reason === 'stop' || reason === 'length' ? reason : 'other';
}

/** Reads the lines of a streamed completion. */
class GenerateReading implements StreamReading {
  readonly #answer: Answer;
  #last: Fields = {};

  constructor(answer: Answer) {
    this.#answer = answer;
  }

  event(value: unknown): boolean {
    const line = record(value) ?? {};
    if (line.error !== undefined) throw new VendorFault(readVendorError(line, ''), line);
    this.#answer.model ??= typeof line.model === 'string' ? line.model : null;
    if (typeof line.thinking === 'string' && line.thinking !== '') this.#answer.writeThinking(line.thinking);
    if (typeof line.response === 'string' && line.response !== '') this.#answer.writeText(line.response);
    if (line.done !== true) return false;
    this.#last = line;
    this.#answer.usage = nativeUsage(line);
    this.#answer.rawFinishReason = typeof line.done_reason === 'string' ? line.done_reason : 'stop';
    this.#answer.finishReason = doneReason(this.#answer.rawFinishReason);
    return true;
  }

  end(): boolean {
    return false;
  }

  response(): unknown {
    const { text, thinking } = this.#answer;
    return { ...this.#last, response: text, ...(thinking === '' ? {} : { thinking }) };
  }
}
