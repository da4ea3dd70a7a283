import { randomBytes } from 'node:crypto';
import { IModelError, printValue } from '../errors.ts';
import type { Bus, Subscription } from './bus.ts';

/** What an endpoint of a service has done so far. */
interface EndpointCounts {
  readonly requests: number;
  readonly errors: number;
  /** Message of the latest error; empty when there was none. @defaultValue '' */
  readonly lastError?: string;
  /** Milliseconds spent on all requests together. */
  readonly processingMs: number;
  /** Anything else worth telling: queue depth, calls in flight, budget. */
  readonly data?: Readonly<Record<string, unknown>>;
}

/** One subject on which a service takes requests. */
export interface ServiceEndpoint {
  /** 1 or more of `A-Z a-z 0-9 _ -`. */
  readonly name: string;
  readonly subject: string;
  /** The queue group; none means that every instance hears every request. */
  readonly queue?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Asked at each STATS request. */
  counts(): EndpointCounts;
}

/** Options of {@link announceService}. */
export interface ServiceOptions {
  /** The kind of the service, shared by its instances; 1 or more of `A-Z a-z 0-9 _ -`. */
  readonly name: string;
  /** A semantic version. */
  readonly version: string;
  /** This instance. @defaultValue random */
  readonly id?: string;
  readonly description?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly endpoints: readonly ServiceEndpoint[];
  /** Epoch milliseconds at which the service began. */
  readonly startedAt: number;
}

/** A service that can be found; see {@link announceService}. */
export interface AnnouncedService {
  readonly id: string;
  /** Answers no more. Idempotent. */
  close(): void;
}

const namePattern = /^[A-Za-z0-9_-]+$/;
/** As semver.org proposes it. */
const versionPattern =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?$/;

/**
 * Makes a service known in the way of NATS services: it answers PING, INFO and STATS on `$SRV.<verb>`, `$SRV.<verb>.<name>` and
 * `$SRV.<verb>.<name>.<id>`, so that `nats service ls` and others find it. It counts nothing and takes no requests itself.
 *
 * @throws IModelError `config` for a name, id or version that is none.
 * @see {@link https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-32.md} (read 2026-11)
 */
export function announceService(bus: Bus, options: ServiceOptions): AnnouncedService {
  const { name, version, id = randomBytes(12).toString('base64url'), metadata = {}, description = '' } = options;
  check('name', name, namePattern, '1 or more of A-Z a-z 0-9 _ -');
  check('id', id, namePattern, '1 or more of A-Z a-z 0-9 _ -');
  check('version', version, versionPattern, 'a semantic version');
  for (const endpoint of options.endpoints) check('endpoints.name', endpoint.name, namePattern, 'of A-Z a-z 0-9 _ -');
  const identity = { name, id, version, metadata };
  const started = new Date(options.startedAt).toISOString();
  const answers: Record<string, () => object> = {
    PING: () => ({ type: 'io.nats.micro.v1.ping_response', ...identity }),
    INFO: () => ({
      type: 'io.nats.micro.v1.info_response',
      ...identity,
      description,
      endpoints: options.endpoints.map((endpoint) => ({ ...place(endpoint), metadata: endpoint.metadata ?? {} })),
    }),
    STATS: () => ({
      type: 'io.nats.micro.v1.stats_response',
      ...identity,
      started,
      endpoints: options.endpoints.map((endpoint) => ({ ...place(endpoint), ...statistics(endpoint.counts()) })),
    }),
  };
  const subscriptions: Subscription[] = [];
  for (const [verb, answer] of Object.entries(answers)) {
    for (const subject of [`$SRV.${verb}`, `$SRV.${verb}.${name}`, `$SRV.${verb}.${name}.${id}`]) {
      subscriptions.push(bus.subscribe(subject, (message) => message.respond(answer())));
    }
  }
  return {
    id,
    close: () => {
      for (const subscription of subscriptions) subscription.close();
    },
  };
}

function place({ name, subject, queue }: ServiceEndpoint): object {
  return { name, subject, queue_group: queue ?? '' };
}

function statistics({ requests, errors, lastError = '', processingMs, data }: EndpointCounts): object {
  const nanoseconds = Math.round(processingMs * 1_000_000);
  return {
    num_requests: requests,
    num_errors: errors,
    last_error: lastError,
    processing_time: nanoseconds,
    average_processing_time: requests === 0 ? 0 : Math.trunc(nanoseconds / requests),
    ...(data === undefined ? {} : { data }),
  };
}

function check(field: string, value: string, pattern: RegExp, expected: string): void {
  if (typeof value === 'string' && pattern.test(value)) return;
  const printed = printValue(value);
  throw IModelError.of('config', `Expected \`${field}\` of a service to be ${expected}, got ${printed}`, {
    field,
    value: printed,
    source: 'bus',
  });
}
