import { createRequire } from 'node:module';

const { version: text } = createRequire(import.meta.url)('imodel/package.json') as { readonly version: string };

/** The version of this package. */
export const version: string = text;
