import type { z } from 'zod';
import type { Fields } from '../endpoints/endpoint.ts';
import { IModelError, printField } from '../errors.ts';
import { type Fitted, notAbleTo } from './fit.ts';
import type { Family, Target } from './target.ts';

/** What a request that is not chat may hold. */
export interface FieldRules {
  /** The kind of iModel it is for, and what that does, for the error of another one. */
  readonly family: Family;
  readonly verb: string;
  /** The vendor's own request: a field of it that this iModel lacks is told from one that nobody knows. */
  readonly schema: z.ZodObject;
  /** Fields that the gateway sees to, and hints that may be left out; the caller is told of the latter. */
  readonly seenTo?: ReadonlySet<string>;
}

/** A hint that every one of these requests may hold. */
const hint = 'user';

/**
 * Fits a request to the fields its iModel takes, which have the same names there.
 *
 * @throws IModelError `invalid_request` for an iModel of another kind, and for a field it does not take.
 */
export function fitFields(body: Fields, target: Target, { family, verb, schema, seenTo }: FieldRules): Fitted {
  if (target.family !== family) throw notAbleTo(target, verb);
  const request: Record<string, unknown> = {};
  const dropped: string[] = [];
  for (const [name, value] of Object.entries(body)) {
    if (name === 'model' || value === null || value === undefined) continue;
    if (target.fields === null || target.fields.has(name)) request[name] = value;
    else if (name === hint) dropped.push(name);
    else if (seenTo?.has(name) !== true) throw refused(name, value, target, name in schema.shape);
  }
  return { request, dropped };
}

function refused(name: string, value: unknown, { model }: Target, isKnown: boolean): IModelError {
  const why = isKnown ? 'cannot be done' : 'unknown field';
  const shown = printField({ [name]: value }, [name]);
  const message = `\`${name}\` of ${shown}: ${why} with the iModel \`${model.id}\``;
  return IModelError.of('invalid_request', message, { path: name, value: shown });
}
