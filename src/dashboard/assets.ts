import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';

/** A file of the page. */
export interface Asset {
  readonly body: Buffer;
  readonly type: string;
  readonly etag: string;
}

const types: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
};

/** The files that the page is made of; nothing else in their folder is served. */
const names = [
  'index.html',
  'style.css',
  'icon.svg',
  'main.js',
  'attach.js',
  'calls.js',
  'cards.js',
  'chart.js',
  'dialogs.js',
  'dom.js',
  'feed.js',
  'format.js',
  'keyboard.js',
  'requests.js',
  'store.js',
  'theme.js',
  'timeline.js',
];

/** Reads the page from the folder it is shipped in. */
export async function readAssets(): Promise<ReadonlyMap<string, Asset>> {
  const assets = await Promise.all(names.map(async (name) => [name, await readAsset(name)] as const));
  return new Map(assets);
}

async function readAsset(name: string): Promise<Asset> {
  const body = await readFile(new URL(`page/${name}`, import.meta.url));
  const hash = createHash('sha256').update(body).digest('base64url').slice(0, 22);
  return { body, type: types[name.split('.').at(-1) ?? ''] ?? 'application/octet-stream', etag: `"${hash}"` };
}
