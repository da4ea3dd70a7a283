/** Variables any program may need: where things are, how to write, how to reach the network. No credential is among them. */
const commonNames = new Set([
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'SHELL',
  'LANG',
  'LANGUAGE',
  'TZ',
  'TMPDIR',
  'TMP',
  'TEMP',
  'XDG_CONFIG_HOME',
  'XDG_DATA_HOME',
  'XDG_CACHE_HOME',
  'XDG_STATE_HOME',
  'XDG_RUNTIME_DIR',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'ALL_PROXY',
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'all_proxy',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'NODE_EXTRA_CA_CERTS',
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
  // Windows cannot start a program without these.
  'SystemRoot',
  'SYSTEMROOT',
  'ComSpec',
  'COMSPEC',
  'PATHEXT',
  'Path',
  'USERPROFILE',
  'APPDATA',
  'LOCALAPPDATA',
  'ProgramData',
]);

/** Names that hold a secret, by their ending. */
const secretName = /(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$/i;

/** What a program's environment is made of. */
export interface EnvironmentOptions {
  /** The environment to choose from, as a rule that of this process. */
  readonly host: Readonly<Record<string, string | undefined>>;
  /** Beginnings of further names to let through, such as `ANTHROPIC_`. */
  readonly prefixes: readonly string[];
  /** Further names to let through. */
  readonly names: readonly string[];
  /** Hands over the host's whole environment: every key in it reaches a program that runs shell commands. @defaultValue false */
  readonly inheritAll?: boolean;
  /** Names never handed over, whatever the rest says. */
  readonly removed?: readonly string[];
  /** Set last; null removes a name. */
  readonly extra?: Readonly<Record<string, string | null>>;
}

/** Chooses a child's environment by a list of what may pass: keys of other vendors stay here. `TERM` is always `dumb`. */
export function childEnvironment(options: EnvironmentOptions): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.host)) {
    if (value === undefined || options.removed?.includes(name) === true) continue;
    if (options.inheritAll === true || passes(name, options)) environment[name] = value;
  }
  environment.TERM = 'dumb';
  for (const [name, value] of Object.entries(options.extra ?? {})) {
    if (value === null) delete environment[name];
    else environment[name] = value;
  }
  return environment;
}

/** The values in an environment that must not show up in an error or a log. */
export function secretsOf(environment: Readonly<Record<string, string>>): string[] {
  return Object.entries(environment).flatMap(([name, value]) => (secretName.test(name) ? [value] : []));
}

function passes(name: string, { prefixes, names }: EnvironmentOptions): boolean {
  return (
    commonNames.has(name) ||
    name.startsWith('LC_') ||
    names.includes(name) ||
    prefixes.some((prefix) => name.startsWith(prefix))
  );
}
