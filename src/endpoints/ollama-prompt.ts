import { IModelError, printValue } from '../errors.ts';
import { record } from '../http/vendor-error.ts';
import type { Fields } from './endpoint.ts';
import { contentText } from './openai-chat-reply.ts';

/** A turn as callers write it; `images` is Ollama's own place for pictures. */
interface Turn {
  readonly role: string;
  readonly content?: unknown;
  readonly images?: unknown;
  readonly tool_calls?: unknown;
}

/**
 * Writes `messages` as the completion route reads them: system turns become `system`, pictures `images`, and the other turns one `prompt`, with
 * who said what when there are several.
 *
 * @param request - A checked request; not changed.
 * @throws IModelError `invalid_request` when there is no prompt, and for what this route cannot take: turns of tools, addresses of pictures.
 */
export function toGenerateWire({ messages, ...rest }: Fields): Fields {
  if (!Array.isArray(messages)) {
    if (rest.prompt !== undefined) return rest;
    throw IModelError.of('invalid_request', 'Expected `prompt` to be a text, got undefined', { path: 'prompt' });
  }
  const turns = messages as readonly Turn[];
  refuseTools(turns);
  const spoken = turns.filter(({ role }) => !isSystem(role));
  const system = turns.filter(({ role }) => isSystem(role)).map(({ content }) => contentText(content));
  const images = turns.flatMap(imagesOf);
  return {
    prompt: spoken.length === 1 ? contentText(spoken[0]?.content) : spoken.map(lineOf).join('\n\n'),
    ...(system.length === 0 ? {} : { system: system.join('\n\n') }),
    ...(images.length === 0 ? {} : { images }),
    ...rest,
  };
}

/**
 * Refuses pictures that Ollama would have to fetch: it fetches none.
 *
 * @throws IModelError `invalid_request`, naming the address.
 */
export function refuseImageUrls(payload: Fields): Fields {
  const turns: readonly Turn[] = Array.isArray(payload.messages) ? payload.messages : [];
  for (const turn of turns) imagesOf(turn);
  return payload;
}

function isSystem(role: string): boolean {
  return role === 'system' || role === 'developer';
}

function lineOf({ role, content }: Turn): string {
  return `${role === 'assistant' ? 'Assistant' : 'User'}: ${contentText(content)}`;
}

function imagesOf({ content, images }: Turn): unknown[] {
  const parts: readonly unknown[] = Array.isArray(content) ? content : [];
  const own: readonly unknown[] = Array.isArray(images) ? images : [];
  return [...own, ...parts.flatMap(imageOf)];
}

/** A picture as base64, without its prefix. */
function imageOf(part: unknown): string[] {
  const { image_url: image } = record(part) ?? {};
  if (image === undefined) return [];
  const url = typeof image === 'string' ? image : record(image)?.url;
  const data = typeof url === 'string' ? /^data:[^,]*;base64,(.*)$/s.exec(url)?.[1] : undefined;
  if (data !== undefined) return [data];
  const value = printValue(typeof url === 'string' ? url.slice(0, 200) : url);
  const message = `Expected \`image_url\` to be a base64 data URL, since Ollama fetches no pictures, got ${value}`;
  throw IModelError.of('invalid_request', message, { path: 'messages', value });
}

function refuseTools(turns: readonly Turn[]): void {
  const turn = turns.find(
    ({ role, tool_calls: calls }) => role === 'tool' || (Array.isArray(calls) && calls.length > 0),
  );
  if (turn === undefined) return;
  const message = 'Expected no turns of tools: the endpoint `generate` has none, `chat` has';
  throw IModelError.of('invalid_request', message, { path: 'messages', value: printValue(turn.role) });
}
