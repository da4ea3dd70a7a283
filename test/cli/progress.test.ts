import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Progress, type ProgressStream } from '../../src/cli/progress.ts';

class Screen implements ProgressStream {
  readonly isTTY: boolean;
  text = '';

  constructor(isTTY: boolean) {
    this.isTTY = isTTY;
  }

  write(text: string): void {
    this.text += text;
  }
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('progress', () => {
  it('shows nothing for what takes less than a second', async () => {
    const screen = new Screen(true);
    const progress = new Progress(screen, false, {});
    progress.show('waiting for gpt');
    await vi.advanceTimersByTimeAsync(999);
    progress.stop();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(screen.text).toBe('');
  });

  it('turns, with the seconds that have passed, and takes its line away', async () => {
    const screen = new Screen(true);
    const progress = new Progress(screen, false, {});
    progress.show('waiting for gpt');
    await vi.advanceTimersByTimeAsync(2_050);
    expect(screen.text).toContain('⠋ waiting for gpt 1 s');
    expect(screen.text).toContain('⠙ waiting for gpt 1 s');
    expect(screen.text).toContain('waiting for gpt 2 s');
    progress.stop();
    expect(screen.text.endsWith('\r\u001b[2K')).toBe(true);
    const { length } = screen.text;
    await vi.advanceTimersByTimeAsync(5_000);
    expect(screen.text).toHaveLength(length);
  });

  it.each([
    ['no terminal', false, false, {}],
    ['output for programs', true, true, {}],
    ['a terminal that cannot go back', true, false, { TERM: 'dumb' }],
  ])('shows nothing with %s', async (_what, isTTY, quiet, env) => {
    const screen = new Screen(isTTY);
    const progress = new Progress(screen, quiet, env);
    progress.show('waiting');
    await vi.advanceTimersByTimeAsync(5_000);
    progress.stop();
    expect(screen.text).toBe('');
  });
});
