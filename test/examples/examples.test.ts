import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, inject, it } from 'vitest';
import { loadConfig } from '../../src/runtime/load-config.ts';
import { createRuntime } from '../../src/runtime/runtime.ts';
import { startNode } from '../cli/program.ts';

const folder = fileURLToPath(new URL('../../examples/', import.meta.url));

describe('examples', () => {
  it.each(readdirSync(folder).filter((name) => name.endsWith('.mjs')))('%s checks itself', async (name) => {
    const { code, stdout, stderr } = await startNode([folder + name], { env: { NATS_URL: inject('natsUrl') } }).ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).not.toBe('');
  });

  it('imodel.yaml can be hosted', async () => {
    await using runtime = await createRuntime(await loadConfig(`${folder}imodel.yaml`));
    expect([...runtime.models.keys()]).toEqual(['echo', 'story']);
  });
});
