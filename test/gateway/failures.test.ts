import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Failure, failureCodes, failureOf } from '../../schemas/failure.ts';
import { IModelError } from '../../src/errors.ts';
import { anthropicDialect } from '../../src/gateway/anthropic-dialect.ts';
import { openaiDialect } from '../../src/gateway/openai-dialect.ts';
import { answerable, Refusal } from '../../src/gateway/refusal.ts';

/** A row of the table: what happened, the status, and what each vendor's clients read. */
function rowOf(name: string, thrown: unknown): string {
  const { failure, status, reason } = answerable(thrown);
  const openai = openaiDialect.failureBody(failure, status, reason) as { error: { type: string; code: string } };
  const anthropic = anthropicDialect.failureBody(failure, status, reason) as { error: { type: string } };
  const cells = [
    name,
    String(status),
    `\`${openai.error.type}\` \`${openai.error.code}\``,
    `\`${anthropic.error.type}\``,
  ];
  return `| ${cells.join(' | ')} |`;
}

function ofCode(code: Failure['code'], details: object = {}): IModelError {
  // What a code needs beside its message is nothing that the answer's status or type depends on.
  return new IModelError({ ...failureOf('internal', 'as it was', {}), ...details, code } as Failure);
}

const refusals: readonly (readonly [string, Refusal])[] = [
  ['no key', new Refusal(401, 'missing_api_key', '')],
  ['a key that is unknown, revoked, disabled or expired', new Refusal(401, 'invalid_api_key', '')],
  ['the key of a caller where an operator’s is needed', new Refusal(403, 'operator_required', '')],
  ['without callers: another host’s name', new Refusal(403, 'forbidden_host', '')],
  ['an iModel that is not there, or not for this caller', new Refusal(404, 'model_not_found', '')],
  ['an unknown path', new Refusal(404, 'not_found', '')],
];

describe('every failure', () => {
  const page = readFileSync(new URL('../../docs/gateway.md', import.meta.url), 'utf8');
  const codes = Object.keys(failureCodes) as Failure['code'][];

  it.each(codes)('of the code %s has the status and the words that the documentation says', (code) => {
    expect(page).toContain(rowOf(`\`${code}\``, ofCode(code)));
  });

  it('has one status, but for a time-out while the call waited', () => {
    const waited = ofCode('timed_out', { phase: 'rate', timeoutMs: 5 });
    expect(page).toContain(rowOf('`timed_out` while it waited for its turn', waited));
    const spent = ofCode('rate_limited', { source: 'runtime', reason: 'insufficient_quota' });
    expect(page).toContain(rowOf('`rate_limited`, the caller’s money being spent', spent));
  });

  it.each(refusals)('that is no call’s is there too: %s', (name, refusal) => {
    expect(page).toContain(rowOf(name, refusal));
  });
});
