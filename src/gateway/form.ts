import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Response } from 'undici';
import type { Fields } from '../endpoints/endpoint.ts';
import { IModelError, printValue } from '../errors.ts';
import { Refusal } from './refusal.ts';

/** A file of a form. */
export interface FormFile {
  readonly filename: string;
  readonly bytes: Uint8Array;
}

const numberFields: ReadonlySet<string> = new Set([
  'temperature',
  'speed',
  'n',
  'output_compression',
  'partial_images',
]);

/** Has a server's routes take `multipart/form-data`, up to its limit for bodies; nothing else. */
export function takeForms(server: FastifyInstance): void {
  server.removeAllContentTypeParsers();
  const parse = (request: FastifyRequest, body: Buffer): Promise<Fields> => {
    refuseForeignForm(request);
    return readForm(body, request.headers['content-type'] ?? '');
  };
  server.addContentTypeParser('multipart/form-data', { parseAs: 'buffer' }, parse);
}

/** Whether a field of a form is a file, and not a text. */
export function isFile(value: unknown): value is FormFile {
  return typeof value === 'object' && value !== null && 'bytes' in value && value.bytes instanceof Uint8Array;
}

/**
 * Reads a form as the clients of OpenAI write it: `name[]` repeats for lists, `name[key]` for objects, and numbers and switches are texts.
 *
 * @throws IModelError `invalid_request` for what is no form, and for a number or a switch that is none.
 */
async function readForm(body: Buffer, contentType: string): Promise<Fields> {
  const fields: Record<string, unknown> = Object.create(null);
  for (const [name, entry] of await formData(body, contentType)) {
    const [, base = name, key] = /^([^[\]]+)\[([^[\]]*)\]$/.exec(name) ?? [];
    const value =
      typeof entry === 'string'
        ? readText(base, entry)
        : { filename: entry.name, bytes: new Uint8Array(await entry.arrayBuffer()) };
    const before = fields[base];
    if (key === undefined || key === '') {
      if (before === undefined) fields[base] = key === '' ? [value] : value;
      else if (Array.isArray(before)) before.push(value);
      else fields[base] = [before, value];
    } else if (before === undefined) fields[base] = Object.assign(Object.create(null), { [key]: readJson(value) });
    else if (typeof before === 'object' && !isFile(before) && !Array.isArray(before)) {
      Object.assign(before as object, { [key]: readJson(value) });
    }
  }
  return { ...fields };
}

async function formData(body: Buffer, contentType: string) {
  try {
    return await new Response(body, { headers: { 'content-type': contentType } }).formData();
  } catch (cause) {
    const message = 'Expected the body to be a form of parts, as its content type says';
    throw IModelError.of('invalid_request', message, { path: '' }, { cause });
  }
}

function readText(name: string, text: string): unknown {
  if (name === 'stream') {
    if (text === 'true' || text === 'false') return text === 'true';
    throw misread(name, 'true or false', text);
  }
  if (!numberFields.has(name)) return text;
  const number = Number(text);
  if (text.trim() === '' || !Number.isFinite(number)) throw misread(name, 'a number', text);
  return number;
}

/** Inside objects there are numbers and switches too, of names that only the vendor knows. */
function readJson(value: unknown): unknown {
  return typeof value === 'string' && /^(true|false|-?\d+(\.\d+)?)$/.test(value) ? JSON.parse(value) : value;
}

function misread(path: string, wanted: string, text: string): IModelError {
  const value = printValue(text);
  return IModelError.of('invalid_request', `Expected \`${path}\` to be ${wanted}, got ${value}`, { path, value });
}

/**
 * Refuses the forms of other sites' pages: a browser sends those without asking, as it does no JSON and nothing with a key.
 *
 * @see {@link https://fetch.spec.whatwg.org/#cors-safelisted-request-header}
 */
function refuseForeignForm({ headers }: FastifyRequest): void {
  const { origin, host, authorization } = headers;
  if (origin === undefined || authorization !== undefined || headers['x-api-key'] !== undefined) return;
  if (URL.canParse(origin) && new URL(origin).host === host) return;
  throw new Refusal(403, 'forbidden_origin', 'Forms of other sites are not answered');
}
