import { extname } from 'node:path';
import { type ClaudeCodeRequest, claudeCodeRequest } from '../../../schemas/requests/claude-code.ts';
import { IModelError, printValue } from '../../errors.ts';
import type { Endpoint } from '../endpoint.ts';
import { type AgentEndpointOptions, createAgentEndpoint } from './agent-endpoint.ts';
import { parseModelSpec } from './agent-model.ts';
import { readInside, requireInnerPath, requirePlainPath, resolveInside } from './agent-paths.ts';
import type { AgentProgram, Launch, LaunchContext } from './agent-program.ts';
import type { PromptImage } from './agent-prompt.ts';
import { createClaudeCodeReader } from './claude-code-events.ts';

const fileFields = ['system_prompt_file', 'append_system_prompt_file', 'mcp_config', 'settings'] as const;

/** A longer text goes through a file: Linux takes no argument of 128 KiB. */
const longestArgument = 100_000;

const models = {
  takesEffort: true,
  known: new Set<string>(),
  // The short names of a family with a version need the family's full name: `opus-4-7` is `claude-opus-4-7`.
  repair: (model: string) => (/^(?:opus|sonnet|haiku)./.test(model) ? `claude-${model}` : model),
};

/** Claude Code, Anthropic's command-line agent, as an endpoint program. */
export const claudeCode: AgentProgram<ClaudeCodeRequest> = {
  provider: 'claude_code',
  title: 'Claude Code',
  executable: 'claude',
  pathVariable: 'LIONAGI_CLAUDE_CLI',
  install: 'npm install -g @anthropic-ai/claude-code',
  testedVersion: '2.1.330',
  minimumVersion: '2.0.0',
  request: claudeCodeRequest,
  hostFields: [],
  unsupported: {
    mcp_tools: 'has no such option: use `mcp_config` or `mcp_servers`, and `allowed_tools`',
    max_thinking_tokens: 'has no such option: use `effort`',
  },
  defaultModel: 'sonnet',
  models,
  handlersOption: 'claude_handlers',
  environment: {
    prefixes: ['ANTHROPIC_', 'CLAUDE_'],
    names: [],
    // Set inside a session of the program itself: it would think it was nested.
    removed: ['CLAUDECODE', 'CLAUDE_CODE_ENTRYPOINT', 'CLAUDE_CODE_SSE_PORT'],
  },
  exitKinds: {},
  normalize,
  keepsSession: (request) => request.no_session_persistence !== true,
  launch,
  createReader: createClaudeCodeReader,
};

/** An endpoint that runs Claude Code. */
export function createClaudeCode(options: AgentEndpointOptions = {}): Endpoint {
  return createAgentEndpoint(claudeCode, options);
}

function normalize(request: ClaudeCodeRequest): ClaudeCodeRequest {
  const spec = parseModelSpec(request.model ?? 'sonnet', models);
  const effort = request.effort ?? spec.effort;
  const bypass = request.bypass === true || request.yolo === true;
  const { permission_mode = bypass ? 'bypassPermissions' : undefined } = request;
  for (const field of fileFields) {
    const value = request[field];
    if (value === undefined) continue;
    if (isInlineJson(field, value)) requireJson(field, value);
    else requireInnerPath(field, value);
  }
  for (const path of request.add_dir ?? []) requirePlainPath('add_dir', path);
  refuseTogether(request, 'system_prompt', 'system_prompt_file');
  refuseTogether(request, 'append_system_prompt', 'append_system_prompt_file');
  const resuming = request.resume !== undefined || request.continue_conversation === true;
  if (request.fork_session === true && !resuming)
    refuse('fork_session', true, 'to come with `resume` or `continue_conversation`');
  if (request.session_id !== undefined && resuming && request.fork_session !== true) {
    refuse('session_id', request.session_id, 'to come without `resume`, unless `fork_session` is true');
  }
  if (request.allow_dangerously_skip_permissions === true && permission_mode === 'bypassPermissions') {
    refuse('allow_dangerously_skip_permissions', true, 'to come without `permission_mode: bypassPermissions`');
  }
  return {
    ...request,
    model: spec.model,
    ...(effort === null ? {} : { effort }),
    ...(permission_mode === undefined ? {} : { permission_mode }),
  };
}

function launch(request: ClaudeCodeRequest, context: LaunchContext): Launch {
  if (request.permission_mode === 'bypassPermissions' && process.getuid?.() === 0) {
    refuse('permission_mode', 'bypassPermissions', 'anything else while running as root: the program refuses it');
  }
  const structured = context.prompt.images.length > 0 || request.input_format === 'stream-json';
  const sent = effortFor(request.effort);
  const args = ['-p', '--output-format', 'stream-json', '--verbose'];
  const flag = (name: string, value: string | number | undefined) => {
    // Joined by `=`, a value that begins with a dash cannot be taken for an option.
    if (value !== undefined) args.push(`${name}=${value}`);
  };
  const mark = (name: string, wanted: boolean | undefined) => {
    if (wanted === true) args.push(name);
  };
  flag('--input-format', structured ? 'stream-json' : undefined);
  mark('--include-partial-messages', request.include_partial_messages ?? context.streaming);
  flag('--model', request.model);
  flag('--fallback-model', request.fallback_model);
  flag('--effort', sent);
  if (context.resume === 'latest') args.push('--continue');
  else flag('--resume', context.resume ?? undefined);
  flag('--session-id', request.session_id);
  mark('--fork-session', request.fork_session);
  mark('--no-session-persistence', request.no_session_persistence);
  flag('--name', request.name);
  flag('--max-turns', request.max_turns);
  flag('--max-budget-usd', request.max_budget_usd);
  const text = (name: string, value: string | undefined) => {
    if (value === undefined || Buffer.byteLength(value) <= longestArgument) flag(name, value);
    else flag(`${name}-file`, context.temporary.write('prompt.md', value));
  };
  text('--system-prompt', request.system_prompt);
  flag('--system-prompt-file', inside('system_prompt_file', request.system_prompt_file, context));
  text('--append-system-prompt', request.append_system_prompt ?? systemText(request, context));
  flag('--append-system-prompt-file', inside('append_system_prompt_file', request.append_system_prompt_file, context));
  flag('--permission-mode', request.permission_mode === 'default' ? undefined : request.permission_mode);
  mark('--allow-dangerously-skip-permissions', request.allow_dangerously_skip_permissions);
  flag('--permission-prompt-tool', request.permission_prompt_tool_name);
  flag('--allowedTools', request.allowed_tools?.join(','));
  flag('--disallowedTools', request.disallowed_tools?.join(','));
  flag('--tools', typeof request.tools === 'string' ? request.tools : request.tools?.join(','));
  flag('--mcp-config', mcpConfig(request, context));
  mark('--strict-mcp-config', request.strict_mcp_config);
  flag('--agent', request.agent);
  flag('--agents', request.agents === undefined ? undefined : JSON.stringify(request.agents));
  for (const path of request.add_dir ?? []) flag('--add-dir', path);
  if (request.worktree === true) args.push('--worktree');
  else if (typeof request.worktree === 'string') flag('--worktree', request.worktree);
  mark('--chrome', request.chrome === true);
  mark('--no-chrome', request.chrome === false);
  mark('--disable-slash-commands', request.disable_slash_commands);
  const schema = request.json_schema_output;
  flag('--json-schema', schema === undefined || typeof schema === 'string' ? schema : JSON.stringify(schema));
  flag('--settings', inside('settings', request.settings, context));
  flag('--setting-sources', request.setting_sources);
  for (const beta of request.betas ?? []) flag('--betas', beta);
  if (request.debug === true) args.push('--debug');
  else if (typeof request.debug === 'string') flag('--debug', request.debug);
  const warnings = [];
  if (request.fast === true) warnings.push('Claude Code has no faster service to switch on: `fast` is without effect');
  if (request.auto_finish === true) warnings.push('`auto_finish` is without effect: the result is always reported');
  return {
    args,
    input: structured ? userLine(context) : context.prompt.text,
    env: environmentOf(request, context),
    ...(sent === request.effort ? {} : { start: { requested_effort: request.effort, effort: sent } }),
    warnings,
  };
}

/** The program's own words begin at `low`. */
function effortFor(effort: ClaudeCodeRequest['effort']): string | undefined {
  return effort === 'none' || effort === 'minimal' ? 'low' : effort;
}

function systemText(request: ClaudeCodeRequest, { prompt }: LaunchContext): string | undefined {
  return prompt.system === '' || request.append_system_prompt_file !== undefined ? undefined : prompt.system;
}

function environmentOf(request: ClaudeCodeRequest, { apiKey, baseUrl }: LaunchContext): Record<string, string> {
  return {
    ...(apiKey === null ? {} : { ANTHROPIC_API_KEY: apiKey }),
    // With an address of its own it must not look up others, which costs time where there is no network.
    ...(baseUrl === null ? {} : { ANTHROPIC_BASE_URL: baseUrl, CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1' }),
    ...(request.max_retries === undefined ? {} : { CLAUDE_CODE_MAX_RETRIES: String(request.max_retries) }),
  };
}

/** Servers may hold keys, and arguments can be read by every user of the machine: so they go into a file. */
function mcpConfig(request: ClaudeCodeRequest, context: LaunchContext): string | undefined {
  const { mcp_config: config, mcp_servers: servers } = request;
  if (config !== undefined && !isInlineJson('mcp_config', config))
    return resolveInside('mcp_config', config, context.workspace);
  if (config !== undefined) return context.temporary.write('mcp.json', config);
  return servers === undefined
    ? undefined
    : context.temporary.write('mcp.json', JSON.stringify({ mcpServers: servers }));
}

/** One line of the program's input format, with the pictures as blocks. */
function userLine({ prompt, workspace }: LaunchContext): string {
  const content = [
    ...(prompt.text === '' ? [] : [{ type: 'text', text: prompt.text }]),
    ...prompt.images.map((image) => ({ type: 'image', source: { type: 'base64', ...imageSource(image, workspace) } })),
  ];
  return `${JSON.stringify({ type: 'user', message: { role: 'user', content } })}\n`;
}

function imageSource(image: PromptImage, workspace: LaunchContext['workspace']): { media_type: string; data: string } {
  if (image.kind === 'data') return { media_type: image.mediaType, data: image.base64 };
  const data = readInside('messages.content.image_url', image.path, workspace).toString('base64');
  const ending = extname(image.path).slice(1).toLowerCase();
  return { media_type: `image/${ending === 'jpg' ? 'jpeg' : ending}`, data };
}

function inside(
  field: (typeof fileFields)[number],
  value: string | undefined,
  { workspace }: LaunchContext,
): string | undefined {
  return value === undefined || isInlineJson(field, value) ? value : resolveInside(field, value, workspace);
}

function isInlineJson(field: string, value: string): boolean {
  return (field === 'mcp_config' || field === 'settings') && value.trimStart().startsWith('{');
}

function requireJson(field: string, value: string): void {
  try {
    JSON.parse(value);
  } catch {
    refuse(field, value, 'a path, or JSON that parses');
  }
}

function refuseTogether(
  request: ClaudeCodeRequest,
  one: keyof ClaudeCodeRequest,
  other: keyof ClaudeCodeRequest,
): void {
  if (request[one] !== undefined && request[other] !== undefined)
    refuse(other, request[other], `to come without \`${one}\``);
}

function refuse(field: string, value: unknown, wanted: string): never {
  throw IModelError.of(
    'invalid_request',
    `Expected \`${field}\` of Claude Code to be ${wanted}, got ${printValue(value)}`,
    { path: field },
  );
}
