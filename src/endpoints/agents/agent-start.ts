import { childEnvironment, secretsOf } from '../../process/environment.ts';
import { maskSecrets } from '../../process/stderr-tail.ts';
import type { TemporaryFolder } from '../../process/temporary-folder.ts';
import { findAgent } from './agent-command.ts';
import type { Workspace } from './agent-paths.ts';
import type { AgentProgram, AgentRequest, Launch } from './agent-program.ts';
import { buildPrompt } from './agent-prompt.ts';

/** What an agent's process is made from. */
export interface StartOptions<R extends AgentRequest> {
  readonly program: AgentProgram<R>;
  readonly request: R;
  readonly apiKey: string | null;
  readonly baseUrl: string | null;
  /** Added to the program's environment; null removes. */
  readonly env: Readonly<Record<string, string | null>>;
  readonly hostEnvironment: Readonly<Record<string, string | undefined>>;
}

/** Where a run takes place. */
export interface RunPlace {
  readonly workspace: Workspace;
  /** The session to go on with; null for a new one. */
  readonly resume: string | null;
  readonly temporary: TemporaryFolder;
  /** Whether somebody reads along. */
  readonly streaming: boolean;
}

/** A process that is ready to be started. */
export interface AgentStart {
  readonly launch: Launch;
  /** The program's file, behind what runs it where it does not run by itself. */
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Texts that must not show up in an error. */
  readonly secrets: readonly string[];
  /** Takes them out of a text. */
  readonly mask: (text: string) => string;
}

/**
 * Makes the command, the environment and the input of a run, and writes its files.
 *
 * @throws IModelError `invalid_request` for what the program cannot be told; `unavailable` with reason `cli_not_found` without a program.
 */
export function prepareStart<R extends AgentRequest>(options: StartOptions<R>, place: RunPlace): AgentStart {
  const { program, request, hostEnvironment } = options;
  const { workspace, resume, temporary, streaming } = place;
  const apiKey = resolveKey(options.apiKey, hostEnvironment);
  const launch = program.launch(request, {
    ...{ workspace, resume, temporary, apiKey, hostEnvironment, streaming },
    prompt: buildPrompt(request, resume !== null),
    baseUrl: options.baseUrl,
  });
  const environment = childEnvironment({
    host: hostEnvironment,
    ...program.environment,
    inheritAll: request.inherit_env === true,
    extra: { TMPDIR: temporary.folder('tmp'), ...launch.env, ...options.env },
  });
  const path = findAgent(program, request, hostEnvironment, environment);
  const command = launch.interpreter === undefined ? [path] : [launch.interpreter, path];
  const secrets = [...secretsOf(environment), ...(launch.secrets ?? []), ...(apiKey === null ? [] : [apiKey])];
  const mask = (text: string) => maskSecrets(text, secrets);
  return { launch, command, environment, cwd: workspace.cwd, secrets, mask };
}

/** A key may be given as the name of the variable that holds it. */
function resolveKey(key: string | null, environment: Readonly<Record<string, string | undefined>>): string | null {
  if (key === null || key === '' || key === 'internal') return null;
  return environment[key] ?? key;
}
