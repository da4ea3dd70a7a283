import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { createKey, hashKey } from '../../src/callers/key.ts';
import { startProgram } from '../cli/program.ts';
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
  it('pauses and resumes, by button and by key, and asks before it drains', async () => {
    const { page, call, complaints } = await openDashboard(browser(), { echo: { model: 'scripted/echo' } });
    await page.click(`${card('echo')} button:text("Pause")`);
    await page.locator(lit('life.paused')).waitFor();
    await reads(page, `${card('echo')} .badge`, 'paused');
    const waiting = call('echo', 'hello', { callId: 'held' });
    await reads(page, `${row('held')} .badge`, 'queued');
    await page.keyboard.press('p');
    await page.locator(lit('life.running')).waitFor();
    expect((await waiting).status).toBe(200);
    await reads(page, `${row('held')} .badge`, 'completed');
    await reads(page, `${row('held')} [data-label=Tokens]`, /\d/);

    await page.keyboard.press('d');
    await page.locator('#sure').waitFor();
    await page.click('#sure-no');
    expect(await page.locator(lit('life.running')).count()).toBe(1);
    await page.click(`${card('echo')} button:text("Drain")`);
    await page.click('#sure-yes');
    await page.locator(lit('life.closed')).waitFor();
    expect((await call('echo', 'hello')).status).toBe(503);
    expect(await page.locator(`${card('echo')} button:text("Pause")`).isDisabled()).toBe(true);
    expect(complaints).toEqual([]);
  });

  it('cancels a call wherever it stands', async () => {
    const { page, call } = await openDashboard(browser(), {
      slow: { model: 'scripted/slow', delay_ms: 60_000, concurrency_limit: 1 },
    });
    const calls = [call('slow', 'hello', { callId: 'runs' })];
    await page.locator(row('runs')).waitFor();
    calls.push(call('slow', 'hello', { callId: 'waits' }));
    await page.click(`${row('waits')} button:text("Cancel")`);
    await reads(page, `${row('waits')} .badge`, 'cancelled');
    await page.locator(row('runs')).focus();
    await page.keyboard.press('x');
    await reads(page, `${row('runs')} .badge`, 'cancelled');
    expect(await Promise.all(calls.map(async (answer) => (await answer).status))).toEqual([499, 499]);
    await expect.poll(() => page.locator(`${row('runs')} button:text("Cancel")`).isVisible()).toBe(false);
  });

  it('attaches to a live stream from its first chunk, and leaves it without ending it', async () => {
    const words = Array.from({ length: 60 }, (_, index) => `w${index}`).join(' ');
    const { page, call } = await openDashboard(browser(), { echo: { model: 'scripted/echo', chunk_delay_ms: 60 } });
    const answer = call('echo', words, { stream: true, callId: 'told' }).then((reply) => reply.text());
    await reads(page, `${row('told')} [data-label="First token"]`, /\d/);
    await reads(page, `${row('told')} [data-label="Chunks/s"]`, /[1-9]/);
    await page.locator(row('told')).focus();
    await page.keyboard.press('Enter');
    await reads(page, '#stream-text', /^w0 w1 w2/);
    await page.keyboard.press('Escape');
    expect(await page.locator('#stream').isVisible()).toBe(false);
    await page.click(`${row('told')} button:text("Watch")`);
    await reads(page, '#stream-status', 'completed');
    expect(await page.locator('#stream-text').textContent()).toBe(words);
    expect(await answer).toContain('data: [DONE]');
    await page.locator(`${row('told')} button:text("Watch")`).waitFor({ state: 'hidden' });
  });

  it('shows whatever callers and models write as text', async () => {
    const hostile = '<img src=x onerror="document.title=1"><script>document.title=2</script>';
    const { page, call, complaints } = await openDashboard(browser(), {
      echo: { model: 'scripted/echo', chunk_delay_ms: 400 },
      bad: { model: 'scripted/bad', retry: null, failures: [{ code: 'rejected', message: hostile }] },
    });
    const answer = call('echo', `${hostile} one two three`, { stream: true, callId: 'hostile', caller: hostile });
    await page.click(`${row('hostile')} button:text("Watch")`);
    await reads(page, '#stream-text', 'onerror=');
    await reads(page, `${row('hostile')} .caller`, hostile);
    await (await call('bad', 'hello', { callId: 'failed' })).text();
    await reads(page, `${row('failed')} .problem`, hostile);
    await (await answer).text();
    expect(await page.title()).toBe('imodel');
    expect(await page.locator('main img, #stream img, main script').count()).toBe(0);
    expect(complaints).toEqual([]);
  });

  it('is worked by keys, which it lists, and gives the focus back', async () => {
    const { page } = await openDashboard(browser(), {
      one: { model: 'scripted/one' },
      two: { model: 'scripted/two', delay_ms: 60_000 },
    });
    await reads(page, '#detail-title', 'one');
    await page.keyboard.press('ArrowRight');
    await reads(page, '#detail-title', 'two');
    expect(await page.locator(`${card('two')} .pick`).getAttribute('aria-pressed')).toBe('true');
    await page.keyboard.press('ArrowRight');
    await reads(page, '#detail-title', 'one');

    await page.locator('#theme').focus();
    await page.keyboard.press('?');
    const help = page.getByRole('dialog', { name: 'Keys' });
    await help.waitFor();
    for (const key of ['p', 'd', 'x', 'Enter', 't', '?']) {
      await help.locator('kbd', { hasText: new RegExp(`^${key.replace('?', '\\?')}$`) }).waitFor();
    }
    await page.keyboard.press('d');
    expect(await page.locator('#sure').isVisible()).toBe(false);
    await page.keyboard.press('Escape');
    expect(await page.evaluate('document.activeElement.id')).toBe('theme');

    await page.keyboard.press('t');
    await page.keyboard.press('t');
    expect(await page.locator('html').getAttribute('data-theme')).toBe('dark');
    await page.reload();
    expect(await page.locator('html').getAttribute('data-theme')).toBe('dark');
    await page.keyboard.press('t');
    await page.emulateMedia({ colorScheme: 'light' });
    await page.locator('html[data-theme=light]').waitFor();
  });

  it('says that it has lost its server, and goes on when there is one again', async () => {
    const { page, program, url } = await openDashboard(browser(), { echo: { model: 'scripted/echo' } });
    await reads(page, '#connection', 'live');
    program.child.kill('SIGTERM');
    await reads(page, '#connection', 'not connected');
    expect((await program.ended).code).toBe(0);
    const again = startProgram(['serve', '--id', 'other', '--port', new URL(url).port]);
    await reads(page, `${card('other')} .badge`, 'idle');
    await reads(page, '#connection', 'live');
    expect(await page.locator(card('echo')).count()).toBe(0);
    again.child.kill('SIGTERM');
    expect((await again.ended).code).toBe(0);
  });
});

describe('the page of a gateway with callers', () => {
  it('asks for the key of an operator until it has one, and keeps it for the tab alone', async () => {
    const [operator, caller] = [createKey(), createKey()];
    const callers = {
      op: { key_hashes: [hashKey(operator)], operator: true },
      ci: { key_hashes: [hashKey(caller)] },
    };
    const { page, url } = await openDashboard(
      browser(),
      { echo: { model: 'scripted/echo' } },
      { gateway: { callers } },
    );
    const use = async (key: string): Promise<void> => {
      await page.locator('#key[open]').waitFor();
      await page.fill('#key-input', key);
      await page.keyboard.press('Enter');
    };
    await page.locator('#key[open]').waitFor();
    expect(await page.locator('#key-problem').textContent()).toBe('');
    expect(await page.locator('.card').count()).toBe(0);
    await use('imodel_wrong');
    await reads(page, '#key-problem', 'The key is not known here');
    await use(caller);
    await reads(page, '#key-problem', 'This needs the key of an operator');
    await use(operator);
    await reads(page, `${card('echo')} .badge`, 'idle');
    await page.click(`${card('echo')} button:text("Pause")`);
    await reads(page, `${card('echo')} .badge`, 'paused');
    await page.reload();
    await reads(page, `${card('echo')} .badge`, 'paused');
    expect(page.url()).toBe(`${url}/`);
    expect([await page.context().cookies(), await page.evaluate('localStorage.length')]).toEqual([[], 0]);
  });

  it('shows what waits for the limits of its caller, and takes it back', async () => {
    const [operator, caller] = [createKey(), createKey()];
    const callers = {
      op: { key_hashes: [hashKey(operator)], operator: true },
      ci: { key_hashes: [hashKey(caller)], concurrency_limit: 1 },
    };
    const { page, url } = await openDashboard(
      browser(),
      { slow: { model: 'scripted/slow', delay_ms: 60_000 } },
      { gateway: { callers } },
    );
    await page.fill('#key-input', operator);
    await page.keyboard.press('Enter');
    await reads(page, `${card('slow')} .badge`, 'idle');
    const call = (callId: string): Promise<Response> =>
      fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'imodel-call': callId, authorization: `Bearer ${caller}` },
        body: JSON.stringify({ model: 'slow', messages: [{ role: 'user', content: 'hello' }] }),
      });
    const runs = call('runs');
    await page.locator(row('runs')).waitFor();
    const held = [call('first'), call('second')];
    await reads(page, `${row('second')} .badge`, 'caller limit');
    await reads(page, `${row('first')} .caller`, 'ci');
    await reads(page, `${row('second')} [data-label=Place]`, '2');
    await page.locator(card('slow')).getByText('At caller limits').waitFor();
    await page.click(`${row('second')} button:text("Cancel")`);
    await page.locator(row('second')).waitFor({ state: 'detached' });
    expect((await held[1])?.status).toBe(499);
    await page.click(`${row('runs')} button:text("Cancel")`);
    // Whose turn it is now goes on to its iModel.
    await reads(page, `${row('first')} .badge`, 'sending');
    await page.click(`${row('first')} button:text("Cancel")`);
    expect([(await runs).status, (await held[0])?.status]).toEqual([499, 499]);
  });
});
