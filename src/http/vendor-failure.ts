import { type Failure, failureOf } from '../../schemas/failure.ts';
import { parseRateLimitHeaders, waitForReset } from './rate-limit-headers.ts';
import { parseRetryAfter, retryAfterInBody, single } from './retry-after.ts';
import type { VendorError } from './vendor-error.ts';

/** What the mapping needs to know beside the vendor's words. */
export interface FailureContext {
  /** Who answered, for the message: a provider's name. */
  readonly provider: string;
  /** The variable the key came from, if it came from one. */
  readonly variable?: string | undefined;
  /** The key; wherever it stands in the vendor's words it is blotted out. */
  readonly secret?: string | null;
  /** Whether a 409 means that another request was in the way and that the same one can succeed later. @defaultValue false */
  readonly conflictsPass?: boolean;
  /** Epoch milliseconds, for dates in headers. */
  readonly now: number;
}

const longestBody = 2_000;

const billingWords =
  /insufficient_quota|billing|insufficient[ _]balance|credit balance|prepaid|out of credits|exceeded your current quota/i;
const overflowWords =
  /context_length_exceeded|context[_ ]window|maximum context length|prompt is too long|input token count|exceeds? (the )?(model'?s? )?(maximum )?context|too many (input )?tokens/i;
const filterWords = /content_filter|content_policy|content policy|moderation|responsible_?ai|safety_violation/i;
const overloadWords = /overloaded|engine_overloaded|capacity_exceeded/i;
/** NVIDIA says so as plain text, under any status. */
const exhaustedMessage = /^ResourceExhausted|total request limit reached/i;
const rateWords = /rate_limit_(error|exceeded)/i;
const badKeyWords =
  /api[ _-]?key (is )?(not valid|invalid)|invalid[ _]api[ _]key|incorrect api key|API_KEY_INVALID|authentication_error/i;

/**
 * Says in our words why a vendor refused or broke off, so that a retry policy can decide without knowing the vendor.
 *
 * - 401, 403 → `unauthorized`; a 400 that speaks of a bad key too; 403 for moderated content → `filtered`
 * - 429 → `rate_limited`; but an empty account (402, 432, 433, `insufficient_quota`) → `rejected`
 * - too many tokens → `context_overflow`, with both counts where the text names them
 * - 498, 503, 529 → `overloaded`; 408 and other 5xx → `unavailable`
 * - other 3xx and 4xx → `rejected`; a 409 is retryable where {@link FailureContext.conflictsPass} says so
 *
 * `x-should-retry` decides `retryable` where the vendor sends it. `retryAfterMs` comes from the headers, then from the body, then from a
 * counter that stands at 0.
 */
export function vendorFailure(error: VendorError, context: FailureContext): Failure {
  const words = clean(error.message, context.secret);
  const status = error.status === undefined ? '' : ` with ${error.status}`;
  const message = `${context.provider} answered${status}: ${words === '' ? 'no explanation' : words}`;
  const reason = error.code ?? error.type;
  const retryAfterMs = waitOf(error, context.now);
  const details = {
    ...(error.status === undefined ? {} : { status: error.status }),
    ...(reason === undefined ? {} : { reason: clean(reason, context.secret) }),
    ...(error.requestId === undefined ? {} : { requestId: error.requestId }),
    ...(error.body === undefined || error.body === ''
      ? {}
      : { body: clean(error.body, context.secret).slice(0, longestBody) }),
    ...(retryAfterMs === null ? {} : { retryAfterMs }),
  };
  const kind = kindOf(error);
  const retry = shouldRetry(error) ?? (kind === 'conflict' ? context.conflictsPass === true : null);
  const more = retry === null ? details : { ...details, retryable: retry };
  switch (kind) {
    case 'conflict':
      return failureOf('rejected', message, more);
    case 'context_overflow':
      return failureOf('context_overflow', message, { ...more, ...tokenCounts(words) });
    case 'unauthorized':
      return failureOf('unauthorized', message, {
        ...more,
        ...(context.variable === undefined ? {} : { variable: context.variable }),
      });
    default:
      return failureOf(kind, message, more);
  }
}

type Kind =
  | 'rate_limited'
  | 'overloaded'
  | 'unavailable'
  | 'unauthorized'
  | 'rejected'
  | 'conflict'
  | 'context_overflow'
  | 'filtered';

function kindOf(error: VendorError): Kind {
  const words = `${error.code ?? ''} ${error.type ?? ''} ${error.message}`;
  // Inside a stream there is no status; some vendors put it into the code.
  const status = error.status ?? statusIn(error.code) ?? 0;
  if (status === 402 || status === 432 || status === 433) return 'rejected';
  if (billingWords.test(words) && (status === 0 || status === 400 || status === 403 || status === 429))
    return isSpent(error) ? 'rejected' : 'rate_limited';
  if (status === 429 || exhaustedMessage.test(error.message)) return 'rate_limited';
  if (status === 503 || status === 529 || status === 498) return 'overloaded';
  if (status === 408 || status >= 500) return overloadWords.test(words) ? 'overloaded' : 'unavailable';
  if (filterWords.test(words)) return 'filtered';
  if (status === 401 || status === 403) return 'unauthorized';
  if (status === 409) return 'conflict';
  if (overflowWords.test(words)) return 'context_overflow';
  if (badKeyWords.test(words)) return 'unauthorized';
  // Groq: "Request too large … on tokens per minute (TPM): Limit 6000, Requested 9000", with 413. It will not get smaller.
  if (status !== 413 && rateWords.test(`${error.code ?? ''} ${error.type ?? ''}`)) return 'rate_limited';
  if (status !== 0) return 'rejected';
  if (overloadWords.test(words)) return 'overloaded';
  return /invalid_request|not_found|permission/i.test(words) ? 'rejected' : 'unavailable';
}

/**
 * Whether an account is empty, and waiting is no use. Google says "You exceeded your current quota, please check your plan and billing details" of
 * every limit, also of that of a minute, and `RESOURCE_EXHAUSTED` or how long to wait beside it.
 */
function isSpent({ status, type, code, body, message }: VendorError): boolean {
  if (status !== 429 || code === 'insufficient_quota' || type === 'insufficient_quota') return true;
  return type !== 'RESOURCE_EXHAUSTED' && retryAfterInBody(body ?? message) === null;
}

function statusIn(code: string | undefined): number | undefined {
  return code !== undefined && /^[345]\d\d$/.test(code) ? Number(code) : undefined;
}

function shouldRetry(error: VendorError): boolean | null {
  const said = single(error.headers?.['x-should-retry']);
  return said === 'true' ? true : said === 'false' ? false : null;
}

function waitOf(error: VendorError, now: number): number | null {
  const headers = error.headers ?? {};
  const stated = parseRetryAfter(headers, now) ?? retryAfterInBody(error.body ?? error.message);
  if (stated !== null) return stated;
  const limits = parseRateLimitHeaders(headers, now);
  return limits === null ? null : waitForReset(limits, now);
}

/** Both counts of an overflow, where the vendor's sentence names them. */
function tokenCounts(words: string): { tokens?: number; limit?: number } {
  const pair =
    // Anthropic: "prompt is too long: 210000 tokens > 200000 maximum"
    /(?<tokens>\d+) tokens? > (?<limit>\d+)/.exec(words) ??
    // OpenAI: "maximum context length is 8192 tokens. However, your messages resulted in 10000 tokens"
    /maximum context length is (?<limit>\d+).*?(?:resulted in|requested|is) (?:about )?(?<tokens>\d+)/.exec(words) ??
    // Gemini: "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)"
    /token count \(?(?<tokens>\d+)\)? exceeds.*?\(?(?<limit>\d+)\)?\.?$/.exec(words) ??
    /maximum context length is (?<limit>\d+)/.exec(words);
  const { tokens, limit } = pair?.groups ?? {};
  return {
    ...(tokens === undefined ? {} : { tokens: Number(tokens) }),
    ...(limit === undefined ? {} : { limit: Number(limit) }),
  };
}

function clean(text: string, secret: string | null | undefined): string {
  return secret == null || secret.length < 4 ? text : text.replaceAll(secret, '[key]');
}
