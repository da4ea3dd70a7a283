import { type CodexRequest, type CodexSetting, codexRequest } from '../../../schemas/requests/codex.ts';
import type { Endpoint } from '../endpoint.ts';
import { type AgentEndpointOptions, createAgentEndpoint } from './agent-endpoint.ts';
import { writeImages } from './agent-images.ts';
import { parseModelSpec } from './agent-model.ts';
import { requireInnerPath, requirePlainPath, resolveInside } from './agent-paths.ts';
import type { AgentProgram, Launch, LaunchContext } from './agent-program.ts';
import { createCodexReader } from './codex-events.ts';
import { toToml } from './toml.ts';

/** Models whose names end in what elsewhere is an effort. */
const models = {
  takesEffort: true,
  known: new Set(['gpt-5.1-codex-max', 'gpt-5.2-codex-max', 'gpt-5.3-codex-max']),
};

/** The variable that carries a given key to the program, whatever the host's own variables hold. */
const keyVariable = 'CODEX_IMODEL_API_KEY';
/** Name of the provider table that a base URL of one's own is put in. */
const providerName = 'imodel';

/** Codex, OpenAI's command-line agent, as an endpoint program. */
export const codex: AgentProgram<CodexRequest> = {
  provider: 'codex',
  title: 'Codex',
  executable: 'codex',
  pathVariable: 'LIONAGI_CODEX_CLI',
  install: 'npm install -g @openai/codex',
  testedVersion: '0.169.0',
  minimumVersion: '0.100.0',
  request: codexRequest,
  hostFields: [],
  unsupported: {
    no_alt_screen: 'has no such option any more',
    include_plan_tool: 'has no such option any more',
    max_turns: 'has no limit on turns: use `timeout`',
  },
  defaultModel: 'gpt-5.3-codex',
  models,
  handlersOption: 'codex_handlers',
  environment: { prefixes: ['OPENAI_', 'CODEX_'], names: [] },
  chatter: /^(?:Reading (?:additional input|prompt) from stdin|WARNING: proceeding)/,
  exitKinds: { 2: 'config' },
  normalize,
  keepsSession: (request) => request.ephemeral !== true,
  launch,
  createReader: createCodexReader,
};

/** An endpoint that runs Codex. */
export function createCodex(options: AgentEndpointOptions = {}): Endpoint {
  return createAgentEndpoint(codex, options);
}

function normalize(request: CodexRequest): CodexRequest {
  const { effort: named, ...rest } = request;
  const spec = parseModelSpec(request.model ?? 'gpt-5.3-codex', models);
  const effort = request.reasoning_effort ?? named ?? spec.effort;
  for (const path of request.images ?? []) requireInnerPath('images', path);
  for (const path of request.add_dir ?? []) requirePlainPath('add_dir', path);
  if (request.output_last_message !== undefined) requireInnerPath('output_last_message', request.output_last_message);
  if (typeof request.output_schema === 'string') requireInnerPath('output_schema', request.output_schema);
  const shortcuts =
    request.bypass === true
      ? { bypass_approvals: request.bypass_approvals ?? true }
      : request.yolo === true
        ? { full_auto: request.full_auto ?? true }
        : {};
  return {
    ...rest,
    ...shortcuts,
    ...(request.fast === true ? { fast_mode: request.fast_mode ?? true } : {}),
    model: spec.model,
    ...(effort === null || effort === undefined ? {} : { reasoning_effort: effort }),
  };
}

function launch(request: CodexRequest, context: LaunchContext): Launch {
  const { workspace, resume, prompt } = context;
  // What decides where and how freely it works is refused after `resume`, but taken before it: so it stands before it always.
  const before = ['exec'];
  const bypass = request.bypass_approvals === true;
  const sandbox = request.sandbox ?? (request.full_auto === true && !bypass ? 'workspace-write' : undefined);
  if (sandbox !== undefined && !bypass) before.push('-s', sandbox);
  before.push('-C', workspace.cwd);
  for (const path of request.add_dir ?? []) before.push('--add-dir', path);
  const early = { '--profile': request.profile, '--local-provider': request.local_provider, '--color': request.color };
  for (const [name, value] of Object.entries(early)) if (value !== undefined) before.push(`${name}=${value}`);
  if (request.oss === true) before.push('--oss');
  const args = [...before, ...(resume === null ? [] : ['resume']), '--json'];
  const flag = (name: string, value: string | undefined) => {
    if (value !== undefined) args.push(`${name}=${value}`);
  };
  const mark = (name: string, wanted: boolean | undefined) => {
    if (wanted === true) args.push(name);
  };
  mark('--skip-git-repo-check', request.skip_git_repo_check ?? true);
  mark('--dangerously-bypass-approvals-and-sandbox', bypass);
  flag('--model', request.model);
  mark('--ephemeral', request.ephemeral);
  for (const name of request.enable_features ?? []) flag('--enable', name);
  for (const name of request.disable_features ?? []) flag('--disable', name);
  flag('--output-schema', schemaFile(request, context));
  const last = request.output_last_message;
  flag('--output-last-message', last === undefined ? undefined : resolveInside('output_last_message', last, workspace));
  for (const [name, value] of Object.entries(settingsOf(request, context))) args.push('-c', `${name}=${toToml(value)}`);
  const images = [
    ...(request.images ?? []).map((path) => resolveInside('images', path, workspace)),
    ...writeImages(context),
  ];
  for (const path of images) flag('--image', path);
  if (resume === 'latest') args.push('--last');
  // Behind `--` nothing is an option; `-` is the prompt on standard input.
  args.push('--', ...(resume === null || resume === 'latest' ? [] : [resume]), '-');
  const sent = effortFor(request.reasoning_effort);
  return {
    args,
    input: prompt.text,
    env:
      context.apiKey === null
        ? {}
        : context.baseUrl === null
          ? { OPENAI_API_KEY: context.apiKey, CODEX_API_KEY: context.apiKey }
          : { [keyVariable]: context.apiKey },
    ...(sent === request.reasoning_effort
      ? {}
      : { start: { requested_effort: request.reasoning_effort, effort: sent } }),
    ...(bypass ? { warnings: ['Codex runs without approvals and without a sandbox'] } : {}),
  };
}

/** The settings a request stands for, in the order they are given; the caller's own come last and win. */
function settingsOf(request: CodexRequest, { prompt, baseUrl, apiKey }: LaunchContext): Record<string, CodexSetting> {
  const approval = request.ask_for_approval ?? (request.full_auto === true ? 'never' : undefined);
  const instructions = request.system_prompt ?? (prompt.system === '' ? undefined : prompt.system);
  const effort = effortFor(request.reasoning_effort);
  const planEffort = effortFor(request.plan_mode_reasoning_effort);
  const settings: Record<string, CodexSetting | undefined> = {
    // Its reports to its maker cost 5 s at the end of a run where there is no network.
    'analytics.enabled': false,
    check_for_update_on_startup: false,
    approval_policy: request.bypass_approvals === true ? undefined : approval,
    developer_instructions: instructions,
    model_reasoning_effort: effort,
    plan_mode_reasoning_effort: planEffort,
    web_search: request.search === true ? 'live' : undefined,
    service_tier: request.fast_mode === true ? 'fast' : undefined,
    mcp_servers: request.mcp_servers,
    ...(baseUrl === null ? {} : providerTable(baseUrl, apiKey, request.max_retries)),
    ...request.config_overrides,
  };
  return Object.fromEntries(
    Object.entries(settings).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

/** `wire_api = "chat"` is not taken any more: the address must speak the Responses API. */
function providerTable(
  baseUrl: string,
  apiKey: string | null,
  maxRetries: number | undefined,
): Record<string, CodexSetting> {
  return {
    model_provider: providerName,
    [`model_providers.${providerName}`]: {
      name: providerName,
      base_url: baseUrl,
      wire_api: 'responses',
      ...(apiKey === null ? {} : { env_key: keyVariable }),
      ...(maxRetries === undefined ? {} : { request_max_retries: maxRetries, stream_max_retries: maxRetries }),
    },
  };
}

/** Its own words end at `xhigh`. */
function effortFor(effort: CodexRequest['reasoning_effort']): string | undefined {
  return effort === 'max' ? 'xhigh' : effort;
}

function schemaFile({ output_schema: schema }: CodexRequest, context: LaunchContext): string | undefined {
  if (schema === undefined) return undefined;
  if (typeof schema === 'string') return resolveInside('output_schema', schema, context.workspace);
  return context.temporary.write('schema.json', JSON.stringify(schema));
}
