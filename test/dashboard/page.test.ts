import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { useChromium } from './chromium.ts';
import { openDashboard } from './open-dashboard.ts';

const browser = useChromium();

/** Waits until something in the page reads so. */
async function reads(page: Page, selector: string, text: string | RegExp): Promise<void> {
  await page.locator(selector).filter({ hasText: text }).first().waitFor();
}

const card = (model: string): string => `.card[data-model="${model}"]`;
const row = (call: string): string => `tr[data-call="${call}"]`;
const lit = (state: string): string => `.state.lit[data-state="${state}"]`;

describe('the page', () => {
  it('shows every iModel with its mode, queue, calls in flight and budget, and each call with its place', async () => {
    const { page, call, complaints } = await openDashboard(browser(), {
      free: { model: 'scripted/free' },
      tight: { model: 'scripted/tight', delay_ms: 60_000, concurrency_limit: 1, limit_requests: 10, interval: 600 },
    });
    await reads(page, `${card('free')} .badge`, 'idle');
    for (const callId of ['one', 'two', 'three']) {
      void call('tight', 'hello', { callId, caller: 'somebody' }).catch(() => {});
      await page.locator(row(callId)).waitFor();
    }
    await reads(page, `${card('tight')} .badge`, 'busy');
    await reads(page, card('tight'), '2 of 100');
    await reads(page, card('tight'), '1 of 1');
    await reads(page, card('tight'), 'a running call');
    await reads(page, card('tight'), /9 of 10 requests left\s*next in (9 min|10 min)/);
    const meter = page.locator(`${card('tight')} [role=meter]:visible`);
    expect(await meter.getAttribute('aria-valuenow')).toBe('9');
    expect(
      await meter.locator('div').evaluate((bar) => (bar as unknown as { style: { width: string } }).style.width),
    ).toBe('90%');
    expect(await page.locator(`${card('free')} [role=meter]:visible`).count()).toBe(0);
    await reads(page, `${row('one')} .badge`, 'sending');
    await reads(page, `${row('two')} [data-label=Place]`, '1');
    await reads(page, `${row('three')} [data-label=Place]`, '2');
    await reads(page, `${row('three')} .caller`, 'somebody');

    await page.click(`${card('tight')} .pick`);
    await page.locator(lit('life.running')).waitFor();
    await page.locator(lit('rate.open')).waitFor();
    expect(await page.locator('#chart').getAttribute('aria-label')).toBe(
      'Statechart of tight. life: running, rate: open, breaker: closed, queue: accepting',
    );
    await reads(page, '#detail-title', 'tight');
    await expect
      .poll(() => page.locator('#timeline').getAttribute('aria-label'))
      .toMatch(/of tight: 1 starts, 0 errors/);
    expect(complaints).toEqual([]);
  });
});
