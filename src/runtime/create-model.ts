import { modelOptionNames, ownOptionNames, toSnakeCase } from '../../schemas/imodel.ts';
import { nearest } from '../endpoints/nearest.ts';
import { IModelError } from '../errors.ts';
import { iModel } from '../imodel.ts';
import type { IModelOptions } from '../imodel-options.ts';
import type { RuntimeOptions } from './runtime.ts';

/**
 * Makes the iModel of an entry of a configuration.
 *
 * @param id - The entry's name.
 * @throws IModelError `config`, naming the entry and the option.
 */
export function createModel(
  id: string,
  own: Readonly<Record<string, unknown>>,
  { clock, env }: Pick<RuntimeOptions, 'clock' | 'env'>,
): iModel {
  if (own.id !== undefined && own.id !== id) {
    throw IModelError.of('config', `models.${id}: expected \`id\` to be absent: the entry's name is the id`, {
      field: `models.${id}.id`,
    });
  }
  const given = { ...own, id, ...(clock === undefined ? {} : { clock }), ...(env === undefined ? {} : { env }) };
  try {
    // The constructor checks every option.
    return new iModel(given as IModelOptions);
  } catch (error) {
    throw IModelError.is(error) && error.failure.code === 'config' ? namingModel(id, own, error) : error;
  }
}

/** Says of which iModel a mistake is, and which option may have been meant by a field that its provider does not know. */
function namingModel(id: string, own: Readonly<Record<string, unknown>>, error: IModelError): IModelError {
  const { message, field = '' } = error.failure as Extract<IModelError['failure'], { code: 'config' }>;
  const isOurs = (modelOptionNames as readonly string[]).includes(field) || !(field in own);
  const meant = isOurs || message.includes('did you mean') ? null : nearest(field, ownOptionNames.map(toSnakeCase));
  const hint = meant === null ? '' : `; did you mean the option \`${meant}\`?`;
  const { code: _code, message: _message, ...details } = error.failure;
  const path = field === '' ? `models.${id}` : `models.${id}.${field}`;
  return IModelError.of('config', `models.${id}: ${message}${hint}`, { ...details, field: path }, { cause: error });
}
