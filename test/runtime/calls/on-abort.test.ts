import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import { keepListening, onAbort } from '../../../src/runtime/calls/on-abort.ts';

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

  test('is one of many for whom the signal has one listener, which goes with the last', () => {
    const { signal } = new AbortController();
    const listeners = () => getEventListeners(signal, 'abort').length;
    const [first, ...others] = Array.from({ length: 100 }, () => onAbort(signal, () => {}));
    expect(listeners()).toBe(1);
    for (const takeBack of others) takeBack();
    expect(listeners()).toBe(1);
    first?.();
    first?.();
    expect(listeners()).toBe(0);
  });

  test('hears of a signal that was let go and is waited for again', () => {
    const controller = new AbortController();
    const heard: number[] = [];
    onAbort(controller.signal, () => heard.push(1))();
    onAbort(controller.signal, () => heard.push(2));
    controller.abort();
    expect(heard).toEqual([2]);
  });

  test('finds a listener in place where the signal is to be listened to for long', () => {
    const controller = new AbortController();
    const heard: number[] = [];
    keepListening(controller.signal);
    onAbort(controller.signal, () => heard.push(1))();
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1);
    onAbort(controller.signal, () => heard.push(2));
    controller.abort();
    expect(heard).toEqual([2]);
  });
});
