import { homedir } from 'node:os';
import { join } from 'node:path';
import { type PiRequest, piRequest } from '../../../schemas/requests/pi.ts';
import { IModelError, printValue } from '../../errors.ts';
import { findProgram } from '../../process/find-program.ts';
import type { Endpoint } from '../endpoint.ts';
import { nodeScript } from './agent-command.ts';
import { type AgentEndpointOptions, createAgentEndpoint } from './agent-endpoint.ts';
import { writeImages } from './agent-images.ts';
import { parseModelSpec } from './agent-model.ts';
import { requireInnerPath, resolveInside } from './agent-paths.ts';
import type { AgentProgram, Launch, LaunchContext } from './agent-program.ts';
import { isAtLeast } from './agent-version.ts';
import { createPiReader } from './pi-events.ts';

const models = { takesEffort: true, known: new Set<string>() };

/** The oldest Node that pi starts with. */
const oldestNode = '22.19.0';
/** The vendor pi asks when nobody names one. */
const defaultVendor = 'google';
/** Name of the vendor that a base URL of one's own is put under. */
const ownVendor = 'imodel';

/** The variable that holds a vendor's key; others are called after the vendor. */
const keyVariables: Readonly<Record<string, string>> = {
  google: 'GEMINI_API_KEY',
  anthropic: 'ANTHROPIC_API_KEY',
  openai: 'OPENAI_API_KEY',
  deepseek: 'DEEPSEEK_API_KEY',
  openrouter: 'OPENROUTER_API_KEY',
  groq: 'GROQ_API_KEY',
  mistral: 'MISTRAL_API_KEY',
  xai: 'XAI_API_KEY',
};

/** Pi, a command-line agent for many vendors, as an endpoint program. */
export const pi: AgentProgram<PiRequest> = {
  provider: 'pi',
  title: 'Pi',
  executable: 'pi',
  pathVariable: 'LIONAGI_PI_CLI',
  install: 'npm install -g @earendil-works/pi-coding-agent',
  testedVersion: '0.87.1',
  minimumVersion: '0.70.0',
  request: piRequest,
  hostFields: ['node_path', 'extension', 'session_dir'],
  unsupported: {
    max_turns: 'has no limit on turns: use `timeout`',
    permission_mode: 'has no permission modes: choose its tools with `tools` or `no_tools`',
    mcp_servers: 'speaks no MCP',
    mcp_config: 'speaks no MCP',
  },
  defaultModel: null,
  models,
  handlersOption: 'pi_handlers',
  environment: { prefixes: ['PI_'], names: Object.values(keyVariables) },
  exitKinds: {},
  normalize,
  keepsSession,
  launch,
  createReader: createPiReader,
};

/** An endpoint that runs pi. */
export function createPi(options: AgentEndpointOptions = {}): Endpoint {
  return createAgentEndpoint(pi, options);
}

function normalize(request: PiRequest): PiRequest {
  const { effort: named, provider, pi_provider, ...rest } = request;
  const spec = request.model === undefined ? null : parseModelSpec(request.model, models);
  const thinking = request.thinking ?? named ?? spec?.effort;
  const inferred = inferVendor(spec?.model);
  const vendor = provider ?? pi_provider ?? inferred.vendor;
  for (const field of ['file_args', 'extension', 'skill'] as const) {
    for (const path of request[field] ?? []) requireInnerPath(field, path);
  }
  const names = { model: spec?.model, pi_provider: vendor, resume: request.resume, session_id: request.session_id };
  for (const [field, value] of Object.entries(names)) if (value !== undefined) requireWord(field, value);
  for (const tool of [...(request.tools ?? []), ...(request.exclude_tools ?? [])]) requireWord('tools', tool);
  return {
    ...rest,
    ...(spec === null
      ? {}
      : { model: provider === undefined && pi_provider === undefined ? inferred.model : spec.model }),
    ...(vendor === undefined ? {} : { pi_provider: vendor }),
    ...(thinking === null || thinking === undefined
      ? {}
      : { thinking: thinking === 'none' ? ('off' as const) : thinking }),
  };
}

function keepsSession(request: PiRequest): boolean {
  if (request.no_session !== undefined) return !request.no_session;
  return (
    request.persist === true ||
    request.resume !== undefined ||
    request.continue_conversation === true ||
    request.session_id !== undefined
  );
}

function launch(request: PiRequest, context: LaunchContext): Launch {
  const { prompt, workspace, temporary, resume } = context;
  const args = ['-p', '--mode', 'json'];
  const flag = (name: string, value: string | undefined) => {
    if (value !== undefined) args.push(name, value);
  };
  const mark = (name: string, wanted: boolean | undefined) => {
    if (wanted === true) args.push(name);
  };
  const own = context.baseUrl === null ? null : ownFolder(request, context, context.baseUrl);
  flag('--provider', own === null ? request.pi_provider : ownVendor);
  flag('--model', request.model);
  flag('--thinking', request.thinking);
  if (resume === 'latest') args.push('--continue');
  else flag('--session', resume ?? undefined);
  flag('--session-id', request.session_id);
  mark('--no-session', !keepsSession(request));
  flag('--session-dir', request.session_dir);
  flag('--tools', request.tools?.join(','));
  flag('--exclude-tools', request.exclude_tools?.join(','));
  mark('--no-tools', request.no_tools);
  mark('--no-builtin-tools', request.no_builtin_tools);
  // Texts go through files: an argument that names a file would be read as that file, and one with a dash as an option.
  if (request.system_prompt !== undefined) flag('--system-prompt', temporary.write('system.md', request.system_prompt));
  for (const text of addedSystemTexts(request, prompt.system))
    flag('--append-system-prompt', temporary.write('append.md', text));
  mark('--no-context-files', request.no_context_files);
  mark('--no-extensions', request.no_extensions);
  mark('--no-skills', request.no_skills);
  for (const path of request.extension ?? []) flag('--extension', resolveInside('extension', path, workspace));
  for (const path of request.skill ?? []) flag('--skill', resolveInside('skill', path, workspace));
  const files = [
    ...(request.file_args ?? []).map((path) => resolveInside('file_args', path, workspace)),
    ...writeImages(context),
  ];
  args.push('--', ...files.map((path) => `@${path}`));
  const interpreter = nodeFor(request, context);
  return {
    args,
    input: prompt.text,
    env: { PI_OFFLINE: '1', PI_TELEMETRY: '0', ...keyOf(request, context), ...own },
    ...(interpreter === null ? {} : { interpreter }),
    warnings: request.fast === true ? ['Pi has no faster service to switch on: `fast` is without effect'] : [],
  };
}

function addedSystemTexts(request: PiRequest, system: string): readonly string[] {
  const { append_system_prompt: added } = request;
  if (added !== undefined) return typeof added === 'string' ? [added] : added;
  return system === '' ? [] : [system];
}

function keyOf(request: PiRequest, { apiKey, baseUrl }: LaunchContext): Record<string, string> {
  if (apiKey === null || baseUrl !== null) return {};
  const vendor = request.pi_provider ?? defaultVendor;
  return { [keyVariables[vendor] ?? `${vendor.toUpperCase().replace(/[^A-Z0-9]/g, '_')}_API_KEY`]: apiKey };
}

/** An address of one's own is a vendor in `models.json`, which lies in the agent's folder: so the run gets a folder of its own. */
function ownFolder(
  request: PiRequest,
  { apiKey, temporary, hostEnvironment }: LaunchContext,
  baseUrl: string,
): Record<string, string> {
  const model = { id: request.model ?? 'default', name: request.model ?? 'default', input: ['text', 'image'] };
  const vendor = {
    baseUrl,
    api: request.api ?? 'openai-completions',
    apiKey: apiKey === null ? 'unused' : '$PI_IMODEL_KEY',
    models: [model],
  };
  const folder = temporary.folder('agent');
  temporary.writeAs('agent/models.json', JSON.stringify({ providers: { [ownVendor]: vendor } }));
  const usual = hostEnvironment.PI_CODING_AGENT_DIR ?? join(hostEnvironment.HOME ?? homedir(), '.pi', 'agent');
  return {
    PI_CODING_AGENT_DIR: folder,
    PI_CODING_AGENT_SESSION_DIR: hostEnvironment.PI_CODING_AGENT_SESSION_DIR ?? join(usual, 'imodel-sessions'),
    ...(apiKey === null ? {} : { PI_IMODEL_KEY: apiKey }),
  };
}

/**
 * The Node to run pi with: its own first line would take the first in `PATH`, which may be too old. Null where pi is no script of Node, or
 * nothing better is known.
 */
function nodeFor(request: PiRequest, { hostEnvironment }: LaunchContext): string | null {
  if (request.node_path !== undefined) return request.node_path;
  const path = findProgram(request.cli_path ?? (hostEnvironment[pi.pathVariable] || pi.executable), {
    PATH: hostEnvironment.PATH ?? '',
  });
  if (path === null || nodeScript(path) === null) return null;
  return isAtLeast(process.versions.node, oldestNode) ? process.execPath : null;
}

/** A vendor that a model's name gives away. */
function inferVendor(model: string | undefined): { readonly vendor?: string; readonly model?: string } {
  if (model === undefined) return {};
  if (model.startsWith('openrouter/')) return { vendor: 'openrouter', model: model.slice('openrouter/'.length) };
  if (model.startsWith('deepseek-')) return { vendor: 'deepseek', model };
  if (model.startsWith('claude-')) return { vendor: 'anthropic', model };
  if (/^(?:gpt-|o1|o3|o4)/.test(model)) return { vendor: 'openai', model };
  return { model };
}

/** Pi reads `--name value`: a value that begins with a dash or a comma's neighbour could be taken for something else. */
function requireWord(field: string, value: string): void {
  if (!value.startsWith('-') && !/[\0,]/.test(value)) return;
  throw IModelError.of(
    'invalid_request',
    `Expected \`${field}\` of Pi to hold no comma and no leading dash, got ${printValue(value)}`,
    {
      path: field,
    },
  );
}
