import { type Command, InvalidArgumentError, Option } from 'commander';
import type { NatsConfig } from '../../schemas/config.ts';

/** Tells the program how a command ended. */
export type Finish = (code: number) => void;

/** How to reach a NATS server; see {@link addNatsOptions}. */
export interface NatsFlags {
  readonly nats?: string;
  readonly creds?: string;
  readonly inboxPrefix?: string;
  readonly bodyPrefix?: string;
}

/** `--nats URL`, or the variable `NATS_URL`. */
function natsOption(description: string): Option {
  return new Option('--nats <url>', description).env('NATS_URL');
}

/** `--creds FILE`. */
function credentialsOption(): Option {
  return new Option('--creds <file>', 'credentials file for the NATS server (JWT and seed)');
}

/**
 * Gives a command `--nats`, and what a server with permissions asks for beside it.
 *
 * @param description - What the server is for.
 */
export function addNatsOptions(command: Command, description: string): Command {
  return command
    .addOption(natsOption(description))
    .addOption(credentialsOption())
    .option('--inbox-prefix <prefix>', 'where replies arrive, if the user may not use _INBOX')
    .option('--body-prefix <prefix>', 'where parts of large bodies are fetched, if not imodel-body');
}

/** The flags as the options of a connection; without a server if none was named. */
export function connectionOptions({ nats, creds, inboxPrefix, bodyPrefix }: NatsFlags): NatsConfig {
  return {
    ...(nats ? { servers: nats.split(',') } : {}),
    ...(creds === undefined ? {} : { credentialsFile: creds }),
    ...(inboxPrefix === undefined ? {} : { inboxPrefix }),
    ...(bodyPrefix === undefined ? {} : { bodyPrefix }),
  };
}

/** `--json`. */
export function jsonOption(description = 'print JSON for programs, one object a line'): Option {
  return new Option('--json', description);
}

/** A time with or without a unit, in milliseconds: `30` and `30s` are seconds, `500ms`, `2m`. */
export function parseDuration(text: string): number {
  const [, digits, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(text.trim()) ?? [];
  const ms = Number(digits) * (unit === 'ms' ? 1 : unit === 's' ? 1_000 : 60_000);
  if (digits === undefined || ms <= 0) throw new InvalidArgumentError('Expected a time such as 30, 1.5s, 500ms or 2m.');
  return ms;
}

/** As {@link parseDuration}, and `0` too. */
export function parseDurationOrZero(text: string): number {
  return /^0(ms|s|m)?$/.test(text.trim()) ? 0 : parseDuration(text);
}

/** A limit: a whole number of at least 1, or `none`. (Commander takes a null for an absent value.) */
export function parseLimit(text: string): number | 'none' {
  return text === 'none' ? text : parseCount(text);
}

/** A whole number of at least 1. */
export function parseCount(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || !Number.isSafeInteger(value)) {
    throw new InvalidArgumentError('Expected a whole number of at least 1.');
  }
  return value;
}
