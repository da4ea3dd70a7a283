import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it, vi } from 'vitest';
import { FileStateStore } from '../../../src/runtime/state/file-state-store.ts';

/** How many bytes the disk still takes. */
const disk = vi.hoisted(() => ({ room: Number.POSITIVE_INFINITY }));

vi.mock('node:fs', async (importOriginal) => {
  const fs = await importOriginal<typeof import('node:fs')>();
  const writeSync = (descriptor: number, bytes: Buffer): number => {
    if (disk.room === 0) throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    const written = fs.writeSync(descriptor, bytes.subarray(0, disk.room));
    disk.room -= written;
    return written;
  };
  return { ...fs, writeSync };
});

const root = await mkdtemp(join(tmpdir(), 'imodel-store-'));
afterAll(() => rm(root, { recursive: true, force: true }));

it('a log holds whole lines only, also after the disk was full in the middle of one', async () => {
  const store = await FileStateStore.open(root);
  expect(await store.read('a')).toBeNull();
  store.turn('a');
  store.append('a', 'first');
  disk.room = 3;
  expect(() => store.append('a', 'second')).toThrow('no room');
  disk.room = 0;
  expect(() => store.append('a', 'third')).toThrow('ENOSPC');
  disk.room = Number.POSITIVE_INFINITY;
  store.append('a', 'fourth');
  expect(await readFile(join(root, 'a.1.log'), 'utf8')).toBe('first\nfourth\n');
  await store.close();
});
