import { fileURLToPath } from 'node:url';
import type { z } from 'zod';
import {
  type Ag2AgentRequest,
  type Ag2GroupChatRequest,
  type ag2Agent,
  ag2AgentRequest,
  ag2GroupChatRequest,
  ag2Host,
  type ag2Model,
} from '../../../schemas/requests/ag2.ts';
import { IModelError } from '../../errors.ts';
import type { Endpoint, Fields } from '../endpoint.ts';
import { createAg2Reader } from './ag2-events.ts';
import { type AgentEndpointOptions, createAgentEndpoint } from './agent-endpoint.ts';
import type { AgentProgram, AgentRequest, Launch, LaunchContext } from './agent-program.ts';

type Model = z.infer<typeof ag2Model>;
type Models = Readonly<Record<string, Model>>;
type Agent = z.infer<typeof ag2Agent>;

/** The program that runs AG2. It lies beside this file, in the sources as in the package. */
const runner = fileURLToPath(new URL('./ag2/ag2_runner.py', import.meta.url));

/** Variables that an AG2 model reads by itself, by the kind of its service. */
const prefixesOf: Readonly<Record<string, readonly string[]>> = {
  openai: ['OPENAI_'],
  openai_responses: ['OPENAI_'],
  anthropic: ['ANTHROPIC_'],
  gemini: ['GEMINI_', 'GOOGLE_'],
  ollama: ['OLLAMA_'],
};

/** The version of the package that the side program was tried with; the versions below are Python's. */
export const ag2PackageVersion = '1.2.1';

const program = {
  provider: 'ag2',
  title: 'AG2',
  executable: 'python3',
  pathVariable: 'LIONAGI_PYTHON',
  install: "pip install 'ag2[openai]>=1.0,<2'",
  testedVersion: '3.11.7',
  minimumVersion: '3.10.0',
  hostFields: Object.keys(ag2Host),
  unsupported: {
    resume: 'keeps no sessions',
    continue_conversation: 'keeps no sessions',
    code_executor: 'runs no code of its own: give the agents a tool',
    allow_code_execution: 'runs no code of its own: give the agents a tool, and allow it with `allow_tools`',
  },
  defaultModel: null,
  models: { takesEffort: false, known: new Set<string>() },
  handlersOption: 'ag2_handlers',
  environment: { prefixes: ['PYTHON'], names: ['VIRTUAL_ENV', 'CONDA_PREFIX'] },
  exitKinds: { 2: 'config', 130: 'cancelled' },
  limits: { queueCapacity: 3, concurrency: 1 },
  keepsSession: () => false,
  createReader: createAg2Reader,
} as const satisfies Partial<AgentProgram>;

/** A group chat of AG2 agents, as an endpoint program. */
export const ag2GroupChat: AgentProgram<Ag2GroupChatRequest> = {
  ...program,
  path: 'group_chat',
  request: ag2GroupChatRequest,
  normalize: (request) => {
    const { agent_configs, max_round, context, initial_agent, python, ...rest } = withModels(request);
    const agents = request.agents ?? agent_configs;
    const { pattern } = request;
    const shaped = typeof pattern === 'string' ? { type: pattern } : pattern;
    for (const agent of agents ?? []) requireTools(agent, request);
    return {
      ...rest,
      ...(python === undefined ? {} : { cli_path: python, python }),
      ...(agents === undefined ? {} : { agents }),
      ...(shaped === undefined && initial_agent === undefined
        ? {}
        : { pattern: { ...shaped, ...(initial_agent === undefined ? {} : { initial_agent }) } }),
      ...(max_round === undefined ? {} : { max_rounds: request.max_rounds ?? max_round }),
      ...(context === undefined ? {} : { context_variables: request.context_variables ?? context }),
    };
  },
  launch: (request, context) => {
    if (request.agents === undefined)
      throw IModelError.of('invalid_request', 'Expected `agents` of AG2 to hold an agent, got none', {
        path: 'agents',
      });
    const { agents, pattern, max_rounds, context_variables } = request;
    return launch({ kind: 'group_chat', agents, pattern, max_rounds, context_variables }, request, context);
  },
};

/** One AG2 agent, as an endpoint program. */
const ag2Single: AgentProgram<Ag2AgentRequest> = {
  ...program,
  path: 'agent',
  request: ag2AgentRequest,
  normalize: (request) => {
    const { python, ...rest } = withModels(request);
    if (request.agent_config !== undefined)
      requireTools({ ...request.agent_config, name: request.agent_config.name ?? 'agent' }, request);
    return { ...rest, ...(python === undefined ? {} : { cli_path: python, python }) };
  },
  launch: (request, context) =>
    launch({ kind: 'agent', agents: [{ name: 'agent', ...request.agent_config }] }, request, context),
};

/** An endpoint that runs a group chat of AG2 agents. Keys in `llm` are kept out of its configuration. */
export function createAg2GroupChat(options: AgentEndpointOptions = {}): Endpoint {
  return withKeys(options, (rest, secrets) => createAgentEndpoint(keyed(ag2GroupChat, secrets), rest));
}

/** An endpoint that runs one AG2 agent. */
export function createAg2Agent(options: AgentEndpointOptions = {}): Endpoint {
  return withKeys(options, (rest, secrets) => createAgentEndpoint(keyed(ag2Single, secrets), rest));
}

interface CommonRequest extends AgentRequest {
  readonly llm?: Models | undefined;
  readonly llm_config?: Model | undefined;
  readonly tools?: Readonly<Record<string, unknown>> | undefined;
}

/** Keys by the name of their model: taken out of what is written down, and put back when the program starts. */
type Keys = Readonly<Record<string, string>>;

function withKeys(
  options: AgentEndpointOptions,
  create: (rest: AgentEndpointOptions, keys: Keys) => Endpoint,
): Endpoint {
  const { llm, llm_config: main, ...kwargs } = (options.kwargs ?? {}) as Fields & CommonRequest;
  if ((llm !== undefined && typeof llm !== 'object') || (main !== undefined && typeof main !== 'object'))
    return create(options, {});
  const keys: Record<string, string> = {};
  const models = Object.fromEntries(
    Object.entries({ ...(main === undefined ? {} : { main }), ...llm }).map(([name, { api_key, ...model }]) => {
      if (api_key !== undefined) keys[name] = api_key;
      return [name, model];
    }),
  );
  return create(
    { ...options, kwargs: { ...kwargs, ...(Object.keys(models).length === 0 ? {} : { llm: models }) } },
    keys,
  );
}

function keyed<R extends AgentRequest>(agentProgram: AgentProgram<R>, keys: Keys): AgentProgram<R> {
  return {
    ...agentProgram,
    launch: (request, context) => {
      const { input, ...rest } = agentProgram.launch(request, context);
      const sent = JSON.parse(input) as { llm?: Record<string, Model> };
      for (const [name, key] of Object.entries(keys)) if (sent.llm?.[name] !== undefined) sent.llm[name].api_key = key;
      return { ...rest, input: `${JSON.stringify(sent)}\n`, secrets: Object.values(keys) };
    },
  };
}

function withModels<R extends CommonRequest & { readonly model?: string | undefined }>(
  request: R,
): Omit<R, 'llm_config'> & { llm: Record<string, Model> } {
  const { llm_config, ...rest } = request;
  const { model } = request;
  for (const [name, entry] of Object.entries({
    ...(llm_config === undefined ? {} : { main: llm_config }),
    ...request.llm,
  })) {
    if (entry.api_key === undefined) continue;
    const message = `Expected \`llm.${name}\` to name its key's variable in \`api_key_env\`: a request is written down, keys are not`;
    throw IModelError.of('invalid_request', message, { path: `llm.${name}.api_key` });
  }
  const main = { ...llm_config, ...request.llm?.main };
  return {
    ...rest,
    llm: { ...request.llm, main: { ...main, ...(model === undefined ? {} : { model }) } },
  };
}

/** Unknown tools are a mistake that the chat would only show by not using them. */
function requireTools(agent: Agent, request: CommonRequest): void {
  for (const name of agent.tools ?? []) {
    if (request.tools?.[name] !== undefined) continue;
    throw IModelError.of(
      'invalid_request',
      `Agent \`${agent.name}\` of AG2 names the tool \`${name}\`, which \`tools\` does not hold`,
      { path: 'tools' },
    );
  }
}

function launch(own: Fields, request: CommonRequest, context: LaunchContext): Launch {
  const { prompt, apiKey, baseUrl, hostEnvironment } = context;
  if (prompt.images.length > 0)
    throw IModelError.of('invalid_request', 'AG2 takes no pictures here', { path: 'messages' });
  const llm = Object.fromEntries(
    Object.entries(request.llm ?? {}).map(([name, model]) => [name, sentModel(model, apiKey, baseUrl)]),
  );
  const { backend, human_input, turn_timeout, include_history, tools, import_paths, allow_tools } = request;
  const sent = {
    v: 1,
    run_id: context.temporary.path.slice(-6),
    ...own,
    ...{ llm, backend, human_input, turn_timeout, include_history, tools, import_paths, allow_tools },
    prompt: prompt.system === '' ? prompt.text : `[system]\n${prompt.system}\n\n${prompt.text}`,
  };
  return {
    args: ['-u', runner],
    input: `${JSON.stringify(sent)}\n`,
    keepsInput: human_input === 'always',
    env: variablesOf(Object.values(llm), hostEnvironment),
  };
}

function sentModel(model: Model, apiKey: string | null, baseUrl: string | null): Model {
  return {
    streaming: true,
    ...(apiKey === null || model.api_key_env !== undefined ? {} : { api_key: apiKey }),
    ...(baseUrl === null ? {} : { base_url: baseUrl }),
    ...model,
  };
}

/** What the models need of the host's environment: their key variables, and where no key is named what their service reads itself. */
function variablesOf(models: readonly Model[], host: LaunchContext['hostEnvironment']): Record<string, string> {
  const names = new Set(models.flatMap(({ api_key_env }) => (api_key_env === undefined ? [] : [api_key_env])));
  const prefixes = models.flatMap((model) =>
    model.api_key === undefined && model.api_key_env === undefined
      ? (prefixesOf[model.api_type ?? 'openai'] ?? [])
      : [],
  );
  return Object.fromEntries(
    Object.entries(host).flatMap(([name, value]) =>
      value !== undefined && (names.has(name) || prefixes.some((prefix) => name.startsWith(prefix)))
        ? [[name, value]]
        : [],
    ),
  );
}
