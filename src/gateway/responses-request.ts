import { openaiResponsesRequest } from '../../schemas/requests/openai-responses.ts';
import type { Fields } from '../endpoints/endpoint.ts';
import { IModelError, printValue } from '../errors.ts';
import { record } from '../http/vendor-error.ts';
import { checked } from '../runtime/checked.ts';
import { type Fitted, fitChat, notAbleTo } from './fit.ts';
import { chatMessages } from './responses-items.ts';
import { doesChat, type Target } from './target.ts';

/** Names that chat's protocol has too, with the same meaning. */
const sameNames = [
  'temperature',
  'top_p',
  'parallel_tool_calls',
  'user',
  'metadata',
  'service_tier',
  'prompt_cache_key',
  'safety_identifier',
  'reasoning_effort',
  'response_format',
] as const;

const translatedNames: ReadonlySet<string> = new Set([
  ...sameNames,
  'input',
  'messages',
  'instructions',
  'max_output_tokens',
  'tools',
  'tool_choice',
  'text',
  'reasoning',
]);

/** What only the vendor that keeps conversations can do. */
const keptByVendor: ReadonlySet<string> = new Set(['previous_response_id', 'conversation', 'prompt', 'max_tool_calls']);

const gatewayNames: ReadonlySet<string> = new Set(['model', 'stream', 'stream_options']);

const responsesNames: ReadonlySet<string> = new Set(Object.keys(openaiResponsesRequest.shape));

/**
 * Fits a request of OpenAI's Responses protocol to what its iModel takes: as it is for a model that speaks it, else in the terms of the chat
 * protocol, from which every other endpoint translates. Nothing is kept here between two requests.
 *
 * @throws IModelError `invalid_request` for an item, a tool or a field that has no counterpart there.
 */
export function fitResponses(body: Fields, target: Target): Fitted {
  if (!doesChat(target)) throw notAbleTo(target, 'chat');
  if (body.background === true) throw refused('background', true, 'an answer is given at once, or not at all');
  const strange = Object.entries(body).find(([name]) => !responsesNames.has(name));
  if (strange !== undefined) throw refused(strange[0], strange[1], 'unknown field');
  const given = checked(openaiResponsesRequest, body, 'request', 'invalid_request') as Fields;
  if (target.family === 'responses') {
    return {
      request: Object.fromEntries(Object.entries(body).filter(([name]) => !gatewayNames.has(name))),
      dropped: [],
    };
  }
  const dropped: string[] = [];
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || gatewayNames.has(name) || translatedNames.has(name)) continue;
    if (keptByVendor.has(name)) throw refused(name, value, `the iModel \`${target.model.id}\` keeps no conversations`);
    dropped.push(name);
  }
  const fitted = fitChat(chatRequest(given), target);
  return { request: fitted.request, dropped: [...dropped, ...fitted.dropped] };
}

function chatRequest(given: Fields): Record<string, unknown> {
  const { instructions, input, messages, max_output_tokens: maxTokens, tools, tool_choice: choice } = given;
  const request: Record<string, unknown> = {};
  const turns = [...chatMessages(input), ...(Array.isArray(messages) ? (messages as Fields[]) : [])];
  const told = typeof instructions === 'string' && instructions !== '';
  request.messages = told ? [{ role: 'system', content: instructions }, ...turns] : turns;
  for (const name of sameNames) if (given[name] !== undefined && given[name] !== null) request[name] = given[name];
  if (maxTokens !== undefined && maxTokens !== null) request.max_tokens = maxTokens;
  const effort = record(given.reasoning)?.effort;
  if (effort !== undefined && effort !== null) request.reasoning_effort = effort;
  const { format, verbosity } = record(given.text) ?? {};
  if (format !== undefined) request.response_format = chatFormat(record(format) ?? {});
  if (verbosity !== undefined && verbosity !== null) request.verbosity = verbosity;
  if (Array.isArray(tools) && tools.length > 0) request.tools = tools.map(chatTool);
  if (choice !== undefined && choice !== null) request.tool_choice = chatChoice(choice);
  return request;
}

function chatTool(tool: Fields): Fields {
  const { type, name, description, parameters, strict } = tool;
  if (record(tool.function) !== undefined) return tool;
  if (type !== 'function')
    throw refused('tools', type, 'is run by OpenAI, and this iModel is no model of its Responses');
  return {
    type,
    function: {
      name,
      ...(description == null ? {} : { description }),
      ...(parameters == null ? {} : { parameters }),
      ...(strict == null ? {} : { strict }),
    },
  };
}

function chatChoice(choice: unknown): unknown {
  const { type, name } = record(choice) ?? {};
  if (typeof choice === 'string' || record(record(choice)?.function) !== undefined) return choice;
  if (type === 'function') return { type, function: { name } };
  throw refused('tool_choice', choice, 'has no counterpart with this iModel');
}

function chatFormat(format: Fields): Fields {
  const { type, ...schema } = format;
  return type === 'json_schema' && schema.json_schema === undefined ? { type, json_schema: schema } : format;
}

function refused(name: string, value: unknown, why: string): IModelError {
  const message = `\`${name}\` of ${printValue(value)}: ${why}`;
  return IModelError.of('invalid_request', message, { path: name, value: printValue(value) });
}
