import { IModelError, printValue } from '../errors.ts';

const tokenPattern = /^[A-Za-z0-9_-]{1,64}$/;
/** Printable, no white space, no wildcard, no empty token. Everything a server routes to exactly one subject. */
const subjectPattern = /^[^\s.*>\p{Cc}]+(?:\.[^\s.*>\p{Cc}]+)*$/u;
const patternPattern = /^(?:\*|[^\s.*>\p{Cc}]+)(?:\.(?:\*|[^\s.*>\p{Cc}]+))*(?:\.>)?$/u;
const queuePattern = /^[^\s*>\p{Cc}]+$/u;
/** A server takes control lines of 4,096 bytes, which hold subject, reply subject and sizes. */
const maxSubjectLength = 1_000;

/**
 * Checks one part of a subject that comes from data: an id, a call id, a node, an endpoint's name.
 *
 * @param field - What the token is, for the error.
 * @returns The token.
 * @throws IModelError `config` unless it is 1 to 64 of `A-Z a-z 0-9 _ -`.
 */
export function checkToken(token: string, field: string): string {
  if (typeof token === 'string' && tokenPattern.test(token)) return token;
  throw refusal(field, token, '1 to 64 of A-Z a-z 0-9 _ -');
}

/**
 * Checks a subject to publish to. The NATS client itself lets `a..b` and `a.*.b` pass.
 *
 * @throws IModelError `config` for an empty token, a wildcard, white space, a control character, or more than 1,000 characters.
 */
export function checkSubject(subject: string, field = 'subject'): string {
  if (typeof subject === 'string' && subject.length <= maxSubjectLength && subjectPattern.test(subject)) return subject;
  throw refusal(field, subject, 'dot-separated tokens without wildcards or white space');
}

/**
 * Checks a pattern to subscribe to: as a subject, but a whole token may be `*`, and the last one `>`.
 *
 * @throws IModelError `config`, as {@link checkSubject}.
 */
export function checkPattern(pattern: string): string {
  if (typeof pattern === 'string' && pattern.length <= maxSubjectLength) {
    if (pattern === '>' || patternPattern.test(pattern)) return pattern;
  }
  throw refusal('pattern', pattern, 'dot-separated tokens, of which any may be `*` and the last `>`');
}

/**
 * Whether a reply may be sent there. Who asks chooses the subject, but the answer goes out with the rights of who answers: it must reach
 * none of the contract's own subjects, nor the server's (`$JS.API.…` deletes streams, whatever the body), nor more than one subject.
 */
export function isReplySubject(subject: string): boolean {
  return subject !== '' && !/^(?:imodel|endpoint)\.|^\$|(?:^|\.)[*>](?:\.|$)/.test(subject);
}

/** Checks the name of a queue group. @throws IModelError `config` for white space, wildcards or nothing. */
export function checkQueue(queue: string): string {
  if (typeof queue === 'string' && queue.length <= maxSubjectLength && queuePattern.test(queue)) return queue;
  throw refusal('queue', queue, 'a name without wildcards or white space');
}

function refusal(field: string, value: unknown, expected: string): IModelError {
  const printed = printValue(value);
  return IModelError.of('config', `Expected \`${field}\` to be ${expected}, got ${printed}`, {
    field,
    value: printed,
    source: 'bus',
  });
}

const of = (id: string): string => `imodel.${checkToken(id, 'id')}`;
const ofEndpoint = (name: string): string => `endpoint.${checkToken(name, 'name')}`;

/**
 * Builders for every subject of the contract. Each checks its tokens and throws IModelError `config` as {@link checkToken} does.
 *
 * `everyEvent` and `everyHook` are patterns to subscribe to; with no id they span all iModels.
 */
export const subjects = {
  /** Request, queue group {@link hostQueue}: the reply is the terminal call. */
  invoke: (id: string) => `${of(id)}.invoke`,
  /** Request, queue group {@link hostQueue}: the reply names the call, its chunk subject and the node. */
  stream: (id: string) => `${of(id)}.stream`,
  /** Chunks 1…n of one call, then one terminal message. */
  chunks: (id: string, call: string) => `${of(id)}.chunks.${checkToken(call, 'call')}`,
  /** To every host of the id. */
  cancel: (id: string) => `${of(id)}.cancel`,
  /** To one host of the id: credit, cancel, extend. */
  ctl: (id: string, node: string) => `${of(id)}.ctl.${checkToken(node, 'node')}`,
  /** To every host of the id; the one that holds the call answers. */
  resume: (id: string) => `${of(id)}.resume`,
  /** Durable request. */
  submit: (id: string) => `${of(id)}.submit`,
  /** The terminal call of a durable request. */
  results: (id: string, call: string) => `${of(id)}.results.${checkToken(call, 'call')}`,
  /** To every host of the id; each answers with what it is doing. */
  state: (id: string) => `${of(id)}.state`,
  /** To every host of the id; each answers with its whole state, the requests of its calls included. */
  snapshot: (id: string) => `${of(id)}.snapshot`,
  /** To every host of the id; the one that knows the call answers at once. */
  explain: (id: string) => `${of(id)}.explain`,
  /** To every host of the id: pause, resume, drain, close, limits, reset. */
  control: (id: string) => `${of(id)}.control`,
  /** One kind of event. */
  events: (id: string, type: string) => `${of(id)}.events.${checkToken(type, 'type')}`,
  /** Pattern for all events of one iModel, or of all. */
  everyEvent: (id?: string) => `imodel.${id === undefined ? '*' : checkToken(id, 'id')}.events.>`,
  /** Request to an interceptor; with a name where there are several at one point. */
  hooks: (id: string, point: string, name?: string) =>
    `${of(id)}.hooks.${checkToken(point, 'point')}${name === undefined ? '' : `.${checkToken(name, 'name')}`}`,
  /** Pattern for one hook, of one iModel or of all. */
  hooksAt: (point: string, name?: string, id?: string) =>
    `imodel.${id === undefined ? '*' : checkToken(id, 'id')}.hooks.${checkToken(point, 'point')}${name === undefined ? '' : `.${checkToken(name, 'name')}`}`,
  /** Pattern for all hooks of one iModel, or of all. */
  everyHook: (id?: string) => `imodel.${id === undefined ? '*' : checkToken(id, 'id')}.hooks.>`,
  /** Request to an endpoint actor. */
  endpointCall: (name: string) => `${ofEndpoint(name)}.call`,
  /** To one host of an endpoint actor: credit, resume. */
  endpointCtl: (name: string, node: string) => `${ofEndpoint(name)}.ctl.${checkToken(node, 'node')}`,
  /** Cancels a request to an endpoint actor. */
  endpointCancel: (name: string) => `${ofEndpoint(name)}.cancel`,
  /** Chunks and outcome from an endpoint actor, numbered. */
  endpointOut: (name: string, call: string) => `${ofEndpoint(name)}.out.${checkToken(call, 'call')}`,
} as const;

/** The queue group in which the hosts of one iModel share `invoke` and `stream`. */
export const hostQueue = 'imodel';

/** The queue group in which the hosts of one endpoint share its calls. */
export const endpointQueue = 'endpoint';
