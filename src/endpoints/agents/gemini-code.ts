import { relative } from 'node:path';
import { type GeminiCodeRequest, geminiCodeRequest } from '../../../schemas/requests/gemini-code.ts';
import { IModelError, printValue } from '../../errors.ts';
import type { Endpoint } from '../endpoint.ts';
import { type AgentEndpointOptions, createAgentEndpoint } from './agent-endpoint.ts';
import { parseModelSpec } from './agent-model.ts';
import { requireInnerPath, resolveInside } from './agent-paths.ts';
import type { AgentProgram, Launch, LaunchContext } from './agent-program.ts';
import { imageExtension } from './agent-prompt.ts';
import { createGeminiCodeReader } from './gemini-code-events.ts';
import { privateHome } from './gemini-code-home.ts';

const models = { takesEffort: false, known: new Set<string>() };

/** Gemini CLI, Google's command-line agent, as an endpoint program. */
export const geminiCode: AgentProgram<GeminiCodeRequest> = {
  provider: 'gemini_code',
  title: 'Gemini CLI',
  executable: 'gemini',
  pathVariable: 'LIONAGI_GEMINI_CLI',
  install: 'npm install -g @google/gemini-cli',
  testedVersion: '0.61.0',
  minimumVersion: '0.20.0',
  request: geminiCodeRequest,
  hostFields: [],
  unsupported: {
    mcp_tools: 'has no such option: use `mcp_servers`',
    effort: 'takes no effort',
  },
  defaultModel: 'gemini-3-flash-preview',
  models,
  handlersOption: 'gemini_handlers',
  environment: { prefixes: ['GEMINI_', 'GOOGLE_'], names: [], removed: ['GEMINI_CLI_IDE_SERVER_PORT'] },
  chatter:
    /^(?:Warning: (?:Basic terminal|256-color)|YOLO mode|Ripgrep is not|\[STARTUP\]|Loaded cached|Data collection)/,
  exitKinds: {
    41: 'auth',
    42: 'session_not_found',
    53: 'max_turns',
    55: 'untrusted',
    // An HTTP status, modulo 256.
    145: 'auth',
    147: 'auth',
    173: 'quota',
    244: 'overloaded',
    247: 'overloaded',
  },
  normalize,
  keepsSession: () => true,
  launch,
  createReader: createGeminiCodeReader,
};

/** An endpoint that runs Gemini CLI. */
export function createGeminiCode(options: AgentEndpointOptions = {}): Endpoint {
  return createAgentEndpoint(geminiCode, options);
}

function normalize(request: GeminiCodeRequest): GeminiCodeRequest {
  const { model } = parseModelSpec(request.model ?? 'gemini-3-flash-preview', models);
  for (const path of request.include_directories ?? []) requireInnerPath('include_directories', path);
  const resuming = request.resume !== undefined || request.continue_conversation === true;
  if (request.session_id !== undefined && resuming) {
    throw IModelError.of(
      'invalid_request',
      `Expected \`session_id\` to come without \`resume\`, got ${printValue(request.session_id)}`,
      { path: 'session_id' },
    );
  }
  return { ...request, model };
}

function launch(request: GeminiCodeRequest, context: LaunchContext): Launch {
  const { prompt, temporary, workspace, resume } = context;
  const args = ['--output-format=stream-json', '--skip-trust'];
  const flag = (name: string, value: string | undefined) => {
    if (value !== undefined) args.push(`${name}=${value}`);
  };
  flag('--model', request.model);
  flag('--approval-mode', approvalMode(request));
  if (request.sandbox === true) args.push('--sandbox');
  if (request.sandbox === false) args.push('--no-sandbox');
  if (request.debug === true) args.push('--debug');
  const folders = (request.include_directories ?? []).map((path) =>
    resolveInside('include_directories', path, workspace),
  );
  const pictures = pictureFiles(context);
  // Pictures given as data lie outside the work space, where the program reads only what it was told of.
  for (const folder of pictures.outside ? [...folders, temporary.path] : folders) flag('--include-directories', folder);
  flag('--resume', resume ?? undefined);
  flag('--session-id', request.session_id);
  const replaced = request.system_prompt;
  const added = [request.append_system_prompt ?? (replaced === undefined ? undefined : prompt.system)]
    .filter((text) => text !== undefined && text !== '')
    .join('');
  const system = replaced ?? prompt.system;
  return {
    args,
    input: [added, prompt.text, pictures.marks.join(' ')].filter((text) => text !== '').join('\n\n'),
    env: {
      GEMINI_CLI_TRUST_WORKSPACE: 'true',
      // Otherwise the started process is only a launcher, which swallows signals.
      GEMINI_CLI_NO_RELAUNCH: 'true',
      ...(system === '' ? {} : { GEMINI_SYSTEM_MD: temporary.write('system.md', system) }),
      ...(context.apiKey === null ? {} : { GEMINI_API_KEY: context.apiKey }),
      ...(context.baseUrl === null ? {} : { GOOGLE_GEMINI_BASE_URL: context.baseUrl }),
      ...privateHome(request, context),
    },
    warnings: warningsOf(request),
  };
}

function approvalMode(request: GeminiCodeRequest): string | undefined {
  const mode = request.approval_mode;
  if (request.yolo === true || request.bypass === true || mode === 'full_auto') return 'yolo';
  return mode === 'suggest' ? 'default' : mode;
}

function warningsOf(request: GeminiCodeRequest): string[] {
  const warnings: string[] = [];
  if (request.fast === true) warnings.push('Gemini CLI has no faster service to switch on: `fast` is without effect');
  if (request.approval_mode === 'suggest' || request.approval_mode === 'full_auto') {
    warnings.push(`\`approval_mode: ${request.approval_mode}\` is called \`${approvalMode(request)}\` now`);
  }
  return warnings;
}

/** Pictures are named in the prompt as `@path`. */
function pictureFiles({ prompt, workspace, temporary }: LaunchContext): { marks: string[]; outside: boolean } {
  const marks = prompt.images.map((image) =>
    image.kind === 'file'
      ? `@${relative(workspace.cwd, resolveInside('messages.content.image_url', image.path, workspace))}`
      : `@${temporary.write(`image.${imageExtension(image.mediaType)}`, Buffer.from(image.base64, 'base64'))}`,
  );
  return { marks, outside: prompt.images.some(({ kind }) => kind === 'data') };
}
