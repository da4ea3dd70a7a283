import { describe, expect, it } from 'vitest';
import { createMemoryBus } from '../../src/bus/memory.ts';
import { NumberedSender } from '../../src/bus/numbered-sender.ts';
import { ChunkBuffer } from '../../src/runtime/calls/chunk-buffer.ts';

/** Counts how often a source is told to go on. */
function counter(): { count: number; resume: () => void } {
  const told = {
    count: 0,
    resume: () => {
      told.count += 1;
    },
  };
  return told;
}

describe('a source that was told to stop', () => {
  it('goes on when there is credit again, also when that was so before it asked', async () => {
    const bus = createMemoryBus();
    const sender = new NumberedSender({ bus, subject: 'chunks', credit: 1 });
    const told = counter();
    expect(sender.send('chunk', {})).toBe(false);
    sender.onDrain(told.resume);
    expect(told.count).toBe(0);
    sender.grant(1);
    expect(told.count).toBe(1);
    expect(sender.send('chunk', {})).toBe(false);
    sender.grant(1);
    sender.onDrain(told.resume);
    expect(told.count).toBe(2);
    await bus.close();
  });

  it('goes on when its buffer has room again, also when that was so before it asked', () => {
    const buffer = new ChunkBuffer(2, () => {});
    const told = counter();
    const chunk = { type: 'text', content: 'x' } as const;
    expect([buffer.write(chunk), buffer.write(chunk)]).toEqual([true, false]);
    buffer.onDrain(told.resume);
    expect(told.count).toBe(0);
    buffer.take();
    expect(told.count).toBe(1);
    expect(buffer.write(chunk)).toBe(false);
    buffer.take();
    buffer.take();
    buffer.onDrain(told.resume);
    expect(told.count).toBe(2);
  });
});
