import { anthropicMessagesRequest } from '../../schemas/requests/anthropic-messages.ts';
import type { Fields } from '../endpoints/endpoint.ts';
import { IModelError, printValue } from '../errors.ts';
import { record } from '../http/vendor-error.ts';
import { checked } from '../runtime/checked.ts';
import { type Fitted, fitChat, notAbleTo } from './fit.ts';
import { chatTurns, textOf } from './messages-turns.ts';
import { doesChat, type Target } from './target.ts';

/** What has a counterpart in chat's protocol, or is the gateway's own to see to. */
const translatedNames: ReadonlySet<string> = new Set([
  'messages',
  'system',
  'max_tokens',
  'temperature',
  'top_p',
  'stop_sequences',
  'metadata',
  'tools',
  'tool_choice',
  'output_config',
]);

/** Fields without which the answer would be another one. */
const essential: ReadonlySet<string> = new Set(['mcp_servers', 'container']);

const gatewayNames: ReadonlySet<string> = new Set(['model', 'stream']);

const messagesNames: ReadonlySet<string> = new Set(Object.keys(anthropicMessagesRequest.shape));

/**
 * Fits a request of Anthropic's protocol to what its iModel takes: as it is for a model of Anthropic's, else in the terms of OpenAI's chat
 * protocol, from which every other endpoint translates.
 *
 * @throws IModelError `invalid_request` for a block, a tool or a field that has no counterpart there.
 */
export function fitMessages(body: Fields, target: Target): Fitted {
  refuseThread(body);
  if (target.family === 'messages') return untouched(body, target);
  if (!doesChat(target)) throw notAbleTo(target, 'chat');
  const known = Object.fromEntries(Object.entries(body).filter(([name]) => messagesNames.has(name)));
  const given = checked(anthropicMessagesRequest, known, 'request', 'invalid_request') as Fields;
  const chat = chatRequest(given);
  const dropped: string[] = [];
  for (const [name, value] of Object.entries(body)) {
    if (gatewayNames.has(name) || translatedNames.has(name) || value === undefined || value === null) continue;
    const passes = target.family !== 'agent' && target.fields?.has(name) === true;
    if (passes || !messagesNames.has(name)) chat[name] = value;
    else if (essential.has(name)) throw refused(name, value, target);
    else dropped.push(name);
  }
  const fitted = fitChat(chat, target);
  return { request: fitted.request, dropped: [...dropped, ...fitted.dropped] };
}

/** Conversations are not kept between requests. Anthropic's client sends the whole of it once it has learned that. */
function refuseThread({ thread }: Fields): void {
  if (thread === undefined || thread === null) return;
  const message = '`thread`: conversations are not kept here, send all of their messages';
  throw IModelError.of('invalid_request', message, { path: 'thread', value: printValue(thread) });
}

function untouched(body: Fields, { fields }: Target): Fitted {
  const rest = Object.entries(body).filter(([name]) => !gatewayNames.has(name));
  const stranger = rest.find(([name]) => fields?.has(name) === false);
  if (stranger === undefined) return { request: Object.fromEntries(rest), dropped: [] };
  const [name, value] = stranger;
  const message = `Unknown field \`${name}\`, got ${printValue(value)}`;
  throw IModelError.of('invalid_request', message, { path: name, value: printValue(value) });
}

function chatRequest(given: Fields): Record<string, unknown> {
  const { messages, system, stop_sequences: stop, metadata, tools, tool_choice: choice, output_config: config } = given;
  const request: Record<string, unknown> = {};
  const instructions = textOf(system);
  const turns = chatTurns(messages as readonly Fields[]);
  request.messages = instructions === '' ? turns : [{ role: 'system', content: instructions }, ...turns];
  for (const name of ['max_tokens', 'temperature', 'top_p']) {
    if (given[name] !== undefined && given[name] !== null) request[name] = given[name];
  }
  if (Array.isArray(stop) && stop.length > 0) request.stop = stop;
  const user = record(metadata)?.user_id;
  if (typeof user === 'string') request.user = user;
  if (Array.isArray(tools) && tools.length > 0) request.tools = tools.map(chatTool);
  Object.assign(request, chatChoice(record(choice)), chatOutput(record(config)));
  return request;
}

function chatTool(tool: Fields): Fields {
  const { type, name, description, input_schema: parameters, strict } = tool;
  if (record(tool.function) !== undefined) return tool;
  if ((type !== undefined && type !== 'custom') || typeof name !== 'string' || record(parameters) === undefined) {
    const message = `The tool ${printValue(name ?? type)} is run by Anthropic, and this iModel is no model of theirs`;
    throw IModelError.of('invalid_request', message, { path: 'tools', value: printValue(type) });
  }
  return {
    type: 'function',
    function: {
      name,
      ...(description === undefined ? {} : { description }),
      parameters,
      ...(strict === undefined ? {} : { strict }),
    },
  };
}

function chatChoice(choice: Fields | undefined): Fields {
  if (choice === undefined) return {};
  const { type, name, disable_parallel_tool_use: single } = choice;
  const parallel = single === true ? { parallel_tool_calls: false } : {};
  switch (type) {
    case 'any':
      return { tool_choice: 'required', ...parallel };
    case 'tool':
      return { tool_choice: { type: 'function', function: { name } }, ...parallel };
    case 'auto':
    case 'none':
      return { tool_choice: type, ...parallel };
    default:
      throw IModelError.of(
        'invalid_request',
        `Expected \`tool_choice.type\` to be auto, any, tool or none, got ${printValue(type)}`,
        { path: 'tool_choice', value: printValue(type) },
      );
  }
}

function chatOutput(config: Fields | undefined): Fields {
  const format = record(config?.format);
  return {
    ...(typeof config?.effort === 'string' ? { reasoning_effort: config.effort } : {}),
    ...(format?.schema === undefined
      ? {}
      : {
          response_format: {
            type: 'json_schema',
            json_schema: { name: 'answer', schema: format.schema, strict: true },
          },
        }),
  };
}

function refused(name: string, value: unknown, { model }: Target): IModelError {
  const message = `\`${name}\` cannot be done with the iModel \`${model.id}\`, which is no model of Anthropic's`;
  return IModelError.of('invalid_request', message, { path: name, value: printValue(value) });
}
