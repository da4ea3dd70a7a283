// Our gateway before the upstream: the program that users run.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startFrontProgram } from './front-program.mjs';

const program = new URL('../dist/src/cli/main.js', import.meta.url).pathname;

/** Starts `imodel serve` before an upstream. */
export async function startOurs(upstreamUrl) {
  const folder = mkdtempSync(join(tmpdir(), 'imodel-bench-'));
  const file = join(folder, 'imodel.json');
  const upstream = { provider: 'openai', model: 'm', api_key: 'bench', base_url: `${upstreamUrl}/v1` };
  writeFileSync(file, JSON.stringify({ models: { m: { ...upstream, queue_capacity: 10_000 } } }));
  const front = await startFrontProgram((port) => [program, 'serve', '--config', file, '--port', `${port}`]);
  const close = () => {
    front.close();
    rmSync(folder, { recursive: true });
  };
  return { url: front.url, headers: { authorization: 'Bearer bench' }, close };
}
