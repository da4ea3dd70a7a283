import { describe, expect, it } from 'vitest';
import { failureOf } from '../../schemas/failure.ts';
import {
  deadlineHeader,
  failureHeaders,
  headersSizeBytes,
  readDeadlineMs,
  readHeader,
  traceHeaders,
} from '../../src/bus/headers.ts';

describe('headers', () => {
  it('are found whatever their case, the exact one first', () => {
    expect(readHeader({ 'imodel-call': 'a', 'Imodel-Call': 'b' }, 'Imodel-Call')).toBe('b');
    expect(readHeader({ 'IMODEL-CALL': 'a' }, 'Imodel-Call')).toBe('a');
    expect(readHeader({}, 'Imodel-Call')).toBeUndefined();
  });

  it('say how much time is left, not when it ends', () => {
    expect(deadlineHeader(10_500.2, 10_000)).toEqual({ 'Imodel-Deadline-Ms': '501' });
    expect(deadlineHeader(9_000, 10_000)).toEqual({ 'Imodel-Deadline-Ms': '0' });
    expect(readDeadlineMs({ 'imodel-deadline-ms': '501' })).toBe(501);
    for (const text of ['', ' ', '-1', 'soon', 'Infinity', 'NaN']) {
      expect(readDeadlineMs({ 'Imodel-Deadline-Ms': text })).toBeUndefined();
    }
    expect(readDeadlineMs({})).toBeUndefined();
  });

  it('pass the trace context on, and nothing else', () => {
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    expect(traceHeaders({ Traceparent: traceparent, TraceState: 'a=b', 'Imodel-Call': 'c' })).toEqual({
      traceparent,
      tracestate: 'a=b',
    });
    expect(traceHeaders({ traceparent })).toEqual({ traceparent });
    expect(traceHeaders({ tracestate: 'a=b' })).toEqual({});
  });

  it('mark a failure by code and one line of text', () => {
    const failure = failureOf('queue_full', 'The queue\nis full', { capacity: 5 });
    expect(failureHeaders(failure)).toEqual({
      'Nats-Service-Error-Code': '429',
      'Nats-Service-Error': 'The queue is full',
    });
  });

  it('are measured as the client writes them', () => {
    // NATS/1.0\r\n, "a: ü\r\n" with two bytes for ü, \r\n
    expect(headersSizeBytes({ a: 'ü' })).toBe(10 + 7 + 2);
    expect(headersSizeBytes({})).toBe(12);
  });
});
