import { type IncomingMessage, request } from 'node:http';
import type { CDPSession, Page } from 'playwright-core';
import { expect, it, onTestFinished } from 'vitest';
import type { ModelEventMessage, ModelEventType } from '../../schemas/event.ts';
import { createMemoryBus } from '../../src/bus/memory.ts';
import { subjects } from '../../src/bus/subjects.ts';
import { startGateway } from '../../src/gateway/gateway.ts';
import { createRuntime } from '../../src/runtime/runtime.ts';
import { until } from '../gateway/open-gateway.ts';
import { useChromium } from './chromium.ts';

const browser = useChromium();

const eventsPerSecond = 1_000;
const floodMs = 4_000;

/** A gateway with a dashboard on a bus that anybody may publish on. */
async function open(slowReaderTimeout = 60) {
  const bus = createMemoryBus();
  const runtime = await createRuntime({ models: { echo: { model: 'scripted/echo' } } }, { bus, env: {} });
  const gateway = await startGateway(runtime, { port: 0, slowReaderTimeout });
  onTestFinished(async () => {
    await gateway.close();
    await runtime.close();
    await bus.close();
  });
  return { bus, url: gateway.url };
}

let told = 0;

/** Tells of a whole call: four events. */
function tellCall({ bus }: Awaited<ReturnType<typeof open>>, padding = ''): void {
  told += 1;
  const event = (type: ModelEventType, more: Partial<ModelEventMessage> = {}): void =>
    bus.publish(subjects.events('echo', type), {
      type,
      model_id: 'echo',
      at: Date.now(),
      call_id: `call-${told}`,
      ...more,
    } satisfies ModelEventMessage);
  event('created', { caller: `caller-${told % 7}${padding}` });
  event('pre_invocation', { wait_ms: told % 50 });
  event('answered');
  event('post_invocation', { status: 'completed', wait_ms: 5, duration_ms: 20 });
}

/** What the page's JavaScript holds, in bytes, once what it does not hold is gone. */
async function heapOf(session: CDPSession): Promise<number> {
  await session.send('HeapProfiler.collectGarbage');
  return (await session.send('Runtime.getHeapUsage')).usedSize;
}

const measure = (page: Page): Promise<{ frames: number; longest: number }> =>
  page.evaluate(`new Promise((resolve) => {
    let frames = 0, longest = 0, last = performance.now();
    const begun = last;
    const next = () => {
      const now = performance.now();
      frames += 1;
      longest = Math.max(longest, now - last);
      last = now;
      if (now - begun < ${floodMs}) requestAnimationFrame(next);
      else resolve({ frames, longest });
    };
    requestAnimationFrame(next);
  })`);

it('1,000 events a second do not freeze the page, and it keeps only the latest', async () => {
  const opened = await open();
  const page = await browser().newPage();
  onTestFinished(() => page.close());
  await page.goto(opened.url);
  await page.locator('.card').waitFor();
  const session = await page.context().newCDPSession(page);
  for (let call = 0; call < 100; call += 1) tellCall(opened);
  await page.locator('tr[data-call]').nth(99).waitFor();
  const before = await heapOf(session);
  const began = Date.now();
  const toldBefore = told;
  const flood = setInterval(() => {
    // As many as are due, however late the timer is.
    while (told - toldBefore < ((Date.now() - began) * eventsPerSecond) / 4_000) tellCall(opened);
  }, 10);
  const measured = measure(page);
  await page.click('#help-open');
  await page.locator('#help[open]').waitFor();
  await page.keyboard.press('Escape');
  const { frames, longest } = await measured;
  clearInterval(flood);
  expect(told - toldBefore).toBeGreaterThan((0.9 * eventsPerSecond * floodMs) / 4_000);
  // A screen draws 240 in this time; a frozen page none.
  expect(frames).toBeGreaterThan(20);
  expect(longest).toBeLessThan(1_000);
  await page.locator(`tr[data-call="call-${told}"]`).waitFor();
  expect(await page.locator('tr[data-call]').count()).toBe(100);
  expect((await heapOf(session)) - before).toBeLessThan(4_000_000);
});

/** Opens the feed, and reads nothing of it until it is told to. */
async function openSlowly(url: string) {
  const asked = request(`${url}/dashboard/feed`, { agent: false });
  onTestFinished(() => void asked.destroy());
  let cut = false;
  asked.on('error', () => {
    cut = true;
  });
  asked.end();
  const answer = await new Promise<IncomingMessage>((resolve) => asked.once('response', resolve));
  answer.pause();
  answer.on('error', () => {
    cut = true;
  });
  let text = '';
  const read = (): void => {
    answer.setEncoding('utf8');
    answer.on('data', (piece: string) => {
      text = (text + piece).slice(-4_000_000);
    });
    answer.resume();
  };
  return { read, text: () => text, wasCut: () => cut };
}

/** More than the connection holds, until the test is over. */
function floodWithLongCalls(opened: Awaited<ReturnType<typeof open>>): void {
  const padding = ' and much more of them'.repeat(200);
  const flood = setInterval(() => {
    for (let call = 0; call < 60; call += 1) tellCall(opened, padding);
  }, 20);
  onTestFinished(() => clearInterval(flood));
}

it('a page that reads too slowly is told everything at once when it has caught up, and how much it missed', async () => {
  const opened = await open();
  const page = await openSlowly(opened.url);
  floodWithLongCalls(opened);
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  expect(page.text()).toBe('');
  page.read();
  // Whole frames only: the last one may still be on its way.
  await until(() => /"missed":[1-9].*\n\n/.test(page.text()));
  const frames = [...page.text().matchAll(/^data: (\{"at".*)\n\n/gm)].map(([, data = '']) => JSON.parse(data));
  const late = frames.find(({ missed }) => missed > 0);
  expect(late).toMatchObject({ whole: true });
  expect(late.calls.length).toBeLessThanOrEqual(400);
  expect(page.wasCut()).toBe(false);
});

it('a page that reads nothing is cut', async () => {
  const opened = await open(0.5);
  const page = await openSlowly(opened.url);
  floodWithLongCalls(opened);
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  page.read();
  await until(() => page.wasCut());
});
