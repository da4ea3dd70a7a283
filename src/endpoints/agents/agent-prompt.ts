import type { AgentMessage, AgentPart } from '../../../schemas/requests/agent.ts';
import { IModelError, printValue } from '../../errors.ts';

/** A picture that goes with a prompt: bytes, or the path of a file. */
export type PromptImage =
  | { readonly kind: 'data'; readonly mediaType: string; readonly base64: string }
  | { readonly kind: 'file'; readonly path: string };

/** What an agent is told. */
export interface AgentPrompt {
  readonly text: string;
  /** All system messages, joined; empty when there are none. */
  readonly system: string;
  readonly images: readonly PromptImage[];
}

/** What a prompt is made of. */
export interface PromptRequest {
  readonly prompt?: string | undefined;
  readonly messages?: readonly AgentMessage[] | undefined;
  readonly role_labels?: boolean | undefined;
}

/**
 * Makes one prompt of a conversation, since a command-line agent takes one.
 *
 * A `prompt` that is not empty is used as it stands. Otherwise: system messages are kept apart; one user message is its text alone; several
 * become blocks with their roles in front, separated by blank lines. When a session is resumed, only what follows the last assistant
 * message is said, since the session knows the rest.
 *
 * @param resuming - Whether the agent already knows the conversation.
 * @throws {@link IModelError} `invalid_request` when there is nothing to say, or a picture would have to be fetched.
 */
export function buildPrompt(request: PromptRequest, resuming: boolean): AgentPrompt {
  if (request.prompt !== undefined && request.prompt !== '') return { text: request.prompt, system: '', images: [] };
  const messages = request.messages ?? [];
  if (messages.length === 0) {
    throw IModelError.of('invalid_request', 'Expected `prompt` or `messages` to hold something, got neither', {
      path: 'messages',
    });
  }
  const system = messages
    .filter(isSystem)
    .map(textOf)
    .filter((text) => text !== '');
  const images: PromptImage[] = [];
  const blocks: { readonly label: string; readonly text: string }[] = [];
  for (const message of said(
    messages.filter((message) => !isSystem(message)),
    resuming,
  )) {
    images.push(...imagesOf(message));
    const text = textOf(message);
    if (text !== '') blocks.push({ label: labelOf(message), text });
  }
  if (blocks.length === 0 && images.length === 0) {
    throw IModelError.of('invalid_request', `Expected \`messages\` to hold a text, got ${printValue(messages)}`, {
      path: 'messages',
    });
  }
  return { text: joinBlocks(blocks, request.role_labels ?? true), system: system.join('\n\n'), images };
}

function joinBlocks(blocks: readonly { readonly label: string; readonly text: string }[], labelled: boolean): string {
  if (!labelled) return blocks.map(({ text }) => text).join('\n');
  const [only] = blocks;
  if (blocks.length === 1 && only?.label === 'user') return only.text;
  return blocks.map(({ label, text }) => `[${label}]\n${text}`).join('\n\n');
}

function said(messages: readonly AgentMessage[], resuming: boolean): readonly AgentMessage[] {
  return resuming ? messages.slice(messages.findLastIndex(({ role }) => role === 'assistant') + 1) : messages;
}

function isSystem({ role }: AgentMessage): boolean {
  return role === 'system' || role === 'developer';
}

function labelOf(message: AgentMessage): string {
  if (message.role !== 'tool') return message.role;
  const name = message.name ?? (typeof message.tool_call_id === 'string' ? message.tool_call_id : '');
  return name === '' ? 'tool' : `tool ${name}`;
}

function textOf({ content }: AgentMessage): string {
  if (typeof content === 'string') return content;
  return (content ?? []).flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n');
}

function imagesOf({ content }: AgentMessage): PromptImage[] {
  if (typeof content === 'string') return [];
  return (content ?? []).flatMap((part) => (part.type === 'text' ? [] : [imageOf(part)]));
}

function imageOf(part: Exclude<AgentPart, { type: 'text' }>): PromptImage {
  if (part.type === 'image') return { kind: 'data', mediaType: part.source.media_type, base64: part.source.data };
  const url = typeof part.image_url === 'string' ? part.image_url : part.image_url.url;
  const data = /^data:(image\/[a-z0-9.+-]+);base64,([A-Za-z0-9+/=\s]+)$/i.exec(url);
  if (data?.[1] !== undefined && data[2] !== undefined)
    return { kind: 'data', mediaType: data[1], base64: data[2].replace(/\s/g, '') };
  if (/^[a-z][a-z0-9+.-]*:/i.test(url)) {
    throw IModelError.of(
      'invalid_request',
      `Expected a picture as a data URL or a file, got ${printValue(url)}; nothing is fetched for an agent`,
      {
        path: 'messages.content.image_url',
        value: url.slice(0, 80),
      },
    );
  }
  return { kind: 'file', path: url };
}

/** The ending of a picture's file. */
export function imageExtension(mediaType: string): string {
  const name = mediaType.slice('image/'.length).replace(/\+.*$/, '');
  return name === 'jpeg' ? 'jpg' : name;
}
