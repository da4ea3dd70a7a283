import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { GeminiCodeRequest } from '../../../schemas/requests/gemini-code.ts';
import { type AgentEvent, isObject, objectIn } from './agent-event.ts';
import type { LaunchContext } from './agent-program.ts';

/** Files that the program writes anew by renaming, which would take the place of a link: they are copied. */
const copied = new Set(['settings.json', 'projects.json']);
/** Folders that hold the sessions, by the folders they belong to. */
const kept = ['tmp', 'history'];

/**
 * The environment for settings that have no option: a home of the run's own with a settings file of its own, whose other entries are links
 * into the user's, so that logins and sessions are the same. The machine's settings file would be simpler, but the program takes one from
 * root alone.
 */
export function privateHome(request: GeminiCodeRequest, context: LaunchContext): Record<string, string> {
  const settings = settingsOf(request, context);
  if (settings === null) return {};
  const { temporary, hostEnvironment } = context;
  const usual = join(hostEnvironment.GEMINI_CLI_HOME ?? hostEnvironment.HOME ?? homedir(), '.gemini');
  for (const name of kept) mkdirSync(join(usual, name), { recursive: true });
  const home = temporary.folder('home');
  const own = temporary.folder('home/.gemini');
  for (const name of readdirSync(usual)) {
    if (!copied.has(name)) symlinkSync(join(usual, name), join(own, name));
    else if (name !== 'settings.json') cpSync(join(usual, name), join(own, name));
  }
  temporary.writeAs(
    'home/.gemini/settings.json',
    JSON.stringify(merged(readSettings(join(usual, 'settings.json')), settings)),
  );
  return { GEMINI_CLI_HOME: home };
}

function settingsOf(request: GeminiCodeRequest, { apiKey, baseUrl }: LaunchContext): AgentEvent | null {
  const settings = {
    // With a key of its own but no chosen way to log in, the program ends with exit code 41.
    ...(apiKey === null && baseUrl === null ? {} : { security: { auth: { selectedType: 'gemini-api-key' } } }),
    ...(request.max_turns === undefined ? {} : { model: { maxSessionTurns: request.max_turns } }),
    ...(request.max_retries === undefined ? {} : { general: { maxAttempts: request.max_retries + 1 } }),
    ...(request.mcp_servers === undefined ? {} : { mcpServers: request.mcp_servers }),
  };
  return Object.keys(settings).length === 0 ? null : settings;
}

function readSettings(path: string): AgentEvent {
  if (!existsSync(path)) return {};
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return isObject(value) ? value : {};
  } catch {
    // Settings with comments in them, or broken ones: what the run needs goes alone.
    return {};
  }
}

function merged(under: AgentEvent, over: AgentEvent): AgentEvent {
  const result: Record<string, unknown> = { ...under };
  for (const [key, value] of Object.entries(over)) {
    result[key] = isObject(value) ? merged(objectIn(under, key), value) : value;
  }
  return result;
}
