import type { Attributes } from '@opentelemetry/api';
import type { EndpointConfig, Fields } from '../endpoints/endpoint.ts';
import { record } from '../http/vendor-error.ts';

/** What an endpoint is in the words of the GenAI conventions: the attributes that samplers want to know when a span begins. */
export interface GenAiEndpoint {
  readonly operation: string;
  readonly provider: string;
  readonly server: Attributes;
}

/** Where the conventions have a name of their own for a provider. */
const providerNames: Readonly<Record<string, string>> = {
  azure: 'azure.ai.openai',
  bedrock: 'aws.bedrock',
  gemini: 'gcp.gemini',
  mistral: 'mistral_ai',
  moonshot: 'moonshot_ai',
  vertex: 'gcp.vertex_ai',
  xai: 'x_ai',
};

/** Operations by what an endpoint's path ends with; what is not here is a chat. */
const operations: readonly (readonly [RegExp, string])[] = [
  [/\b(embeddings|embed)$/, 'embeddings'],
  [/\b(images|audio)\//, 'generate_content'],
  [/(?<!chat\/)\bcompletions$|\bgenerate$/, 'text_completion'],
  [/\b(search|extract|scrape|map|crawl|contents|findSimilar|answer)$/, 'retrieval'],
];

/** Request fields that the conventions know, by each vendor's spelling. */
const requestAttributes: Readonly<Record<string, string>> = {
  temperature: 'gen_ai.request.temperature',
  top_p: 'gen_ai.request.top_p',
  top_k: 'gen_ai.request.top_k',
  max_tokens: 'gen_ai.request.max_tokens',
  max_completion_tokens: 'gen_ai.request.max_tokens',
  max_output_tokens: 'gen_ai.request.max_tokens',
  num_predict: 'gen_ai.request.max_tokens',
  frequency_penalty: 'gen_ai.request.frequency_penalty',
  presence_penalty: 'gen_ai.request.presence_penalty',
  seed: 'gen_ai.request.seed',
  stop: 'gen_ai.request.stop_sequences',
  stop_sequences: 'gen_ai.request.stop_sequences',
  previous_response_id: 'gen_ai.request.previous_response.id',
  reasoning_effort: 'gen_ai.request.reasoning.level',
  dimensions: 'gen_ai.embeddings.dimension.count',
  encoding_format: 'gen_ai.request.encoding_formats',
};

/** Attributes that are lists, also where a request gives one value. */
const lists: ReadonlySet<string> = new Set(['gen_ai.request.stop_sequences', 'gen_ai.request.encoding_formats']);

/**
 * What an endpoint is, as the GenAI conventions say it.
 *
 * @see {@link https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/client-inference.md} for the attributes of
 * the span `gen_ai.client.inference` (in development, after v0.1.0, on semantic conventions v1.44.0; read 2026-11)
 */
export function genAiEndpoint(config: EndpointConfig, isAgent: boolean): GenAiEndpoint {
  const { provider, endpoint, baseUrl } = config;
  const known = operations.find(([path]) => path.test(endpoint))?.[1] ?? 'chat';
  return {
    operation: isAgent ? 'invoke_agent' : known,
    provider: providerNames[provider] ?? provider,
    server: serverAttributes(baseUrl),
  };
}

/** Whose server a URL names; nothing without one. */
export function serverAttributes(url: string | null): Attributes {
  if (url === null || !URL.canParse(url)) return {};
  const { hostname, port, protocol } = new URL(url);
  return { 'server.address': hostname, 'server.port': Number(port) || (protocol === 'http:' ? 80 : 443) };
}

/** The model a payload asks for; empty when it names none. */
export function modelOf({ model }: Fields): string {
  return typeof model === 'string' ? model : '';
}

/** What a payload asks for, without its prompt. */
export function requestAttributesOf(payload: Fields, isStreamed: boolean): Attributes {
  const attributes: Attributes = {};
  // Ollama keeps its sampling fields in an object of their own.
  for (const fields of [payload.options, payload]) {
    for (const [name, value] of Object.entries(record(fields) ?? {})) {
      const attribute = requestAttributes[name];
      if (attribute === undefined) continue;
      const plain = plainValue(value);
      if (plain !== undefined) attributes[attribute] = lists.has(attribute) ? [plain].flat().map(String) : plain;
    }
  }
  if (isStreamed) attributes['gen_ai.request.stream'] = true;
  if (typeof payload.n === 'number' && payload.n !== 1) attributes['gen_ai.request.choice.count'] = payload.n;
  // The Responses protocol and Anthropic's keep these in objects of their own.
  const { reasoning, text, output_config: config } = payload;
  const level = record(reasoning)?.effort ?? record(config)?.effort ?? payload.effort;
  if (typeof level === 'string') attributes['gen_ai.request.reasoning.level'] ??= level;
  const format = payload.response_format ?? payload.format ?? record(text)?.format ?? record(config)?.format;
  const type = outputType(format);
  if (type !== null) attributes['gen_ai.output.type'] = type;
  return attributes;
}

function plainValue(value: unknown): string | number | string[] | undefined {
  if (typeof value === 'string' || typeof value === 'number') return value;
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
  return undefined;
}

function outputType(format: unknown): string | null {
  if (format === 'json') return 'json';
  const fields = record(format);
  return fields === undefined ? null : fields.type === 'text' ? 'text' : 'json';
}
