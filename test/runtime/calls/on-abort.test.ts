import { describe, expect, test } from 'vitest';
import { onAbort } from '../../../src/runtime/calls/on-abort.ts';

describe('who waits for a signal to abort', () => {
  test('is called back when it does, each once, in the order of their coming', () => {
    const controller = new AbortController();
    const heard: number[] = [];
    for (const listener of [1, 2, 3]) onAbort(controller.signal, () => heard.push(listener));
    controller.abort();
    controller.abort();
    expect(heard).toEqual([1, 2, 3]);
  });

  test('hears nothing once that has been taken back, however often it is taken back', () => {
    const controller = new AbortController();
    const heard: number[] = [];
    const [first, , third] = [1, 2, 3, 4].map((listener) => onAbort(controller.signal, () => heard.push(listener)));
    first?.();
    first?.();
    third?.();
    controller.abort();
    expect(heard.sort()).toEqual([2, 4]);
  });

  test('can be taken back by another that hears of it before', () => {
    const controller = new AbortController();
    const heard: string[] = [];
    let takeBack = (): void => {};
    onAbort(controller.signal, () => {
      heard.push('first');
      takeBack();
    });
    takeBack = onAbort(controller.signal, () => heard.push('second'));
    onAbort(controller.signal, () => heard.push('third'));
    controller.abort();
    expect(heard).toEqual(['first', 'third']);
  });

  test('costs the signal one listener, whoever waits', () => {
    const { signal } = new AbortController();
    let listeners = 0;
    const add = signal.addEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<AbortSignal['addEventListener']>): void => {
      listeners += 1;
      add(...args);
    };
    for (let call = 0; call < 100; call += 1) onAbort(signal, () => {})();
    expect(listeners).toBe(1);
  });
});
