import type { AnswerView } from '../schemas/chunk.ts';
import { type Failure, type FailureCode, type FailureDetails, failureOf } from '../schemas/failure.ts';

const brand = Symbol.for('imodel.error');

/**
 * The one class that carries a {@link Failure}. Match on `code`, not on text.
 *
 * @example
 * ```ts
 * if (IModelError.is(error) && error.code === 'rate_limited') await sleep(error.failure.retryAfterMs ?? 1_000);
 * ```
 */
export class IModelError extends Error {
  override readonly name = 'IModelError';
  readonly [brand] = true;
  /** What happened, as data that can cross a bus. */
  readonly failure: Failure;
  /** The call that failed, where there was one; set on rejections of `invoke` and on what a stream throws. */
  call?: unknown;
  /** What an endpoint had received before it failed. @internal */
  partial?: { readonly response: unknown; readonly view: AnswerView; readonly sessionId?: string };

  constructor(failure: Failure, options?: { readonly cause?: unknown }) {
    super(failure.message, options);
    this.failure = failure;
  }

  /** The failure's code. */
  get code(): FailureCode {
    return this.failure.code;
  }

  /** Whether the same request can succeed later without being changed. */
  get retryable(): boolean {
    return this.failure.retryable;
  }

  /** The data of the failure, for logs and the wire; never the cause, which may hold foreign objects. */
  toJSON(): Failure {
    return this.failure;
  }

  /** True for an error of this class, also from another copy of this package. */
  static is(value: unknown): value is IModelError {
    return typeof value === 'object' && value !== null && (value as { [brand]?: unknown })[brand] === true;
  }

  /** Builds failure and error in one step; see {@link failureOf}. */
  static of<C extends FailureCode>(
    code: C,
    message: string,
    details: FailureDetails<C>,
    options?: { readonly cause?: unknown },
  ): IModelError {
    return new IModelError(failureOf(code, message, details), options);
  }
}

/** The failure inside whatever was thrown; what is not ours becomes `internal`, with its message. */
export function toFailure(thrown: unknown): Failure {
  if (IModelError.is(thrown)) return thrown.failure;
  return failureOf('internal', wordsOf(thrown), {});
}

/** What was thrown by code that is not ours; where it cannot even be looked at, as a proxy that was revoked, an error that says so. */
export function seen(thrown: unknown): unknown {
  try {
    // Whoever handles it asks these two first.
    void (IModelError.is(thrown) || thrown instanceof Error);
    return thrown;
  } catch (cause) {
    return new TypeError('What was thrown cannot be looked at', { cause });
  }
}

/** Never throws: there are objects that have no text, and whoever asks is already handling a failure. */
function wordsOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown);
  } catch {
    return Object.prototype.toString.call(thrown);
  }
}

/** Writes a value into an error message: short, quoted, with its type. */
export function printValue(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  let text: string;
  try {
    text = typeof value === 'object' ? (JSON.stringify(value) ?? String(value)) : String(value);
  } catch {
    text = Object.prototype.toString.call(value);
  }
  return `\`${text.length > 80 ? `${text.slice(0, 80)}…` : text}\` (${Array.isArray(value) ? 'array' : typeof value})`;
}

/** Names whose values are never printed. */
const secretNames = /key|token(?!s)|secret|password|authorization|cookie|header/i;

/**
 * Writes one field of a value into an error message, as {@link printValue}; what has the name of a secret is not shown.
 *
 * @param value - What holds the field.
 * @param path - Where in it, by names and positions.
 */
export function printField(value: unknown, path: readonly PropertyKey[]): string {
  let inner = value;
  for (const key of path) inner = (inner as Record<PropertyKey, unknown> | null | undefined)?.[key];
  if (mayBeSecret(path, inner)) return '(hidden)';
  return printValue(typeof inner === 'object' ? withoutSecrets(inner) : inner);
}

/** Whether what stands at a path must not be shown. A number is no secret: `limitTokens: -1` is shown. */
export function mayBeSecret(path: readonly PropertyKey[], value: unknown): boolean {
  const mayHoldText = typeof value === 'string' || (typeof value === 'object' && value !== null);
  return mayHoldText && path.some((key) => secretNames.test(String(key)));
}

function withoutSecrets(value: unknown): unknown {
  try {
    const hide = (key: string, item: unknown) =>
      typeof item === 'string' && secretNames.test(key) ? '(hidden)' : item;
    return JSON.parse(JSON.stringify(value, hide) ?? 'null');
  } catch {
    return Object.prototype.toString.call(value);
  }
}
