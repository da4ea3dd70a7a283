import { describe, expect, it } from 'vitest';
import type { Chunk } from '../../../schemas/chunk.ts';
import { ChunkBuffer } from '../../../src/runtime/calls/chunk-buffer.ts';

const chunk = (content: string): Chunk => ({ type: 'text', content });

describe('ChunkBuffer', () => {
  it('hands chunks over in their order and knows its end', () => {
    const buffer = new ChunkBuffer(10, () => {});
    buffer.write(chunk('a'));
    buffer.write(chunk('b'));
    expect([buffer.take()?.content, buffer.take()?.content, buffer.take()]).toEqual(['a', 'b', undefined]);
    buffer.write(chunk('c'));
    buffer.close();
    expect(buffer.exhausted).toBe(false);
    expect(buffer.take()?.content).toBe('c');
    expect(buffer.exhausted).toBe(true);
  });

  it('tells its writer to stop when it is full, and to go on when half of it has been read', () => {
    const buffer = new ChunkBuffer(4, () => {});
    expect([1, 2, 3].map(() => buffer.write(chunk('x')))).toEqual([true, true, true]);
    expect(buffer.write(chunk('x'))).toBe(false);
    let resumed = 0;
    buffer.onDrain(() => {
      resumed += 1;
    });
    buffer.take();
    expect(resumed).toBe(0);
    buffer.take();
    expect(resumed).toBe(1);
    buffer.take();
    expect(resumed).toBe(1);
  });

  it('takes a chunk that comes although it is full', () => {
    const buffer = new ChunkBuffer(1, () => {});
    for (const content of ['a', 'b', 'c']) expect(buffer.write(chunk(content))).toBe(false);
    expect([1, 2, 3].map(() => buffer.take()?.content)).toEqual(['a', 'b', 'c']);
  });

  it('says once that the first chunk has come', () => {
    let first = 0;
    const buffer = new ChunkBuffer(4, () => {
      first += 1;
    });
    buffer.write(chunk('a'));
    buffer.write(chunk('b'));
    expect(first).toBe(1);
  });

  it('wakes everybody who waits, for a chunk and for the end', async () => {
    const buffer = new ChunkBuffer(4, () => {});
    const both = [buffer.changed(), buffer.changed()];
    buffer.write(chunk('a'));
    await Promise.all(both);
    const end = buffer.changed();
    buffer.close();
    await end;
  });

  it('takes nothing more once it is closed or discarded', () => {
    const buffer = new ChunkBuffer(4, () => {});
    buffer.write(chunk('a'));
    buffer.discard();
    expect(buffer.write(chunk('late'))).toBe(true);
    expect(buffer.take()).toBeUndefined();
    expect(buffer.exhausted).toBe(true);
  });
});
