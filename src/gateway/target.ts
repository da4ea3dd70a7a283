import { z } from 'zod';
import { IModelError, printValue } from '../errors.ts';
import type { iModel } from '../imodel.ts';
import { Refusal } from './refusal.ts';

/**
 * What an iModel can be asked, by the protocol behind it: `chat` and `responses` are OpenAI's, `messages` is Anthropic's, `agent` is a
 * command-line agent; these chat. `other` is nothing the gateway has a path for.
 */
export type Family = (typeof chatFamilies)[number] | 'embeddings' | MediaFamily | 'other';

/** What an iModel of OpenAI's protocols for sound and images does. */
export type MediaFamily = 'speech' | 'transcription' | 'translation' | 'images' | 'image_edits';

const chatFamilies = ['chat', 'responses', 'messages', 'agent'] as const;

/** Whether an iModel chats. */
export function doesChat({ family }: Target): boolean {
  return (chatFamilies as readonly Family[]).includes(family);
}

const mediaFamilies: ReadonlyMap<string, MediaFamily> = new Map([
  ['audio/speech', 'speech'],
  ['audio/transcriptions', 'transcription'],
  ['audio/translations', 'translation'],
  ['images/generations', 'images'],
  ['images/edits', 'image_edits'],
]);

/** The iModel a request is for. */
export interface Target {
  readonly model: iModel;
  readonly family: Family;
  /** Names of the fields its requests may hold; null when any may. */
  readonly fields: ReadonlySet<string> | null;
}

/** Reads from an iModel's endpoint what it can be asked. */
export function targetOf(model: iModel): Target {
  const { requestOptions, transportFields } = model.endpoint;
  const shape = requestOptions instanceof z.ZodObject ? Object.keys(requestOptions.shape) : null;
  // What goes beside the body may name files of this machine: never a caller's to say.
  const fields = shape === null ? null : new Set(shape.filter((name) => !transportFields.includes(name)));
  return { model, fields, family: familyOf(model, fields) };
}

/**
 * Finds the iModel a request names: by its id, else by its vendor's name of the model, with or without `provider/` in front, where only one
 * iModel has it.
 *
 * @param mayUse - Whether its caller may use an iModel; the others are not there for it.
 * @returns Undefined when none has the name.
 * @throws Refusal 404 `model_not_found` when several have; IModelError `invalid_request` for what is no name.
 */
export function findModel<T extends iModel>(
  models: ReadonlyMap<string, T>,
  name: unknown,
  mayUse: (id: string) => boolean,
): T | undefined {
  if (typeof name !== 'string' || name === '') {
    const message = `Expected \`model\` to name an iModel, got ${printValue(name)}`;
    throw IModelError.of('invalid_request', message, { path: 'model', value: printValue(name) });
  }
  const byId = models.get(name);
  if (byId !== undefined && mayUse(byId.id)) return byId;
  const named = [...models.values()].filter(
    ({ id, modelName, endpoint }) =>
      mayUse(id) && (modelName === name || `${endpoint.config.provider}/${modelName}` === name),
  );
  if (named.length > 1) {
    const ids = [...models.keys()].filter(mayUse);
    throw unknownModel(name, `${named.length} iModels have it: use an id`, ids);
  }
  return named[0];
}

/** @param ids - Those to choose from. @throws Refusal 404 `model_not_found` */
export function refuseUnknown(name: unknown, ids: readonly string[]): never {
  throw unknownModel(name, 'no iModel has this name', ids);
}

function unknownModel(name: unknown, why: string, ids: Iterable<string>): Refusal {
  const some = [...ids].slice(0, 20).join(', ');
  return new Refusal(
    404,
    'model_not_found',
    `Unknown \`model\` ${printValue(name)}: ${why}; there are ${some}`,
    'model',
  );
}

function familyOf({ endpoint }: iModel, fields: ReadonlySet<string> | null): Family {
  if (endpoint.isCli) return 'agent';
  const path = endpoint.config.endpoint;
  if (path === 'messages' || path === 'responses') return path;
  const media = mediaFamilies.get(path);
  if (media !== undefined) return media;
  if (path.endsWith('chat/completions') || fields?.has('messages') === true) return 'chat';
  if (path === 'embed' || path.endsWith('embeddings')) return 'embeddings';
  // Of an endpoint that runs elsewhere and is of no known kind only its host knows more.
  return fields === null ? 'chat' : 'other';
}
