import type { Page } from 'playwright-core';
import { expect, it } from 'vitest';
import { useChromium } from './chromium.ts';
import { openDashboard } from './open-dashboard.ts';

const browser = useChromium();

/** What WCAG 2.2 asks of texts of ordinary size, https://www.w3.org/TR/WCAG22/#contrast-minimum. */
const leastContrast = 4.5;

/** Finds texts that stand out too little from what is behind them; runs in the page. */
const findFaint = `(() => {
  const parse = (color) => (color.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([red, green, blue]) => {
    const part = (value) => (value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue);
  };
  const behind = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const texts = [...document.querySelectorAll('body *')].filter((element) =>
    element.checkVisibility() && !element.matches(':disabled, canvas, svg, .unseen') &&
    [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== ''));
  return texts.flatMap((element) => {
    const style = getComputedStyle(element);
    const isDrawn = element instanceof SVGElement;
    const box = isDrawn ? element.previousElementSibling : null;
    const back = box === null ? behind(element) : parse(getComputedStyle(box).fill);
    const [high, low] = [light(parse(isDrawn ? style.fill : style.color)), light(back)].sort((one, other) => other - one);
    const contrast = (high + 0.05) / (low + 0.05);
    return contrast < ${leastContrast} ? [element.textContent + ': ' + contrast.toFixed(2)] : [];
  });
})()`;

async function withCalls(context: object): Promise<Page> {
  const { page, call } = await openDashboard(
    browser(),
    {
      echo: { model: 'scripted/echo', chunk_delay_ms: 500, limit_requests: 5, interval: 600, concurrency_limit: 4 },
      bad: { model: 'scripted/bad', retry: null, failures: ['unavailable'] },
    },
    context,
  );
  for (const callId of ['a', 'b', 'c', 'd', 'e']) {
    void call('echo', 'word '.repeat(100), { stream: true, callId }).catch(() => {});
    // One after the other: sent together, any of them may be the fifth, which waits.
    await page.locator(`tr[data-call=${callId}]`).waitFor();
  }
  await (await call('bad', 'hello', { callId: 'f' })).text();
  await page.locator('tr[data-call=f] .problem:not(:empty)').waitFor();
  await page.locator('tr[data-call=e] [data-label=Place]:not(:empty)').waitFor();
  return page;
}

it('every text stands out, light and dark', async () => {
  const page = await withCalls({ colorScheme: 'light' });
  expect(await page.evaluate(findFaint)).toEqual([]);
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.locator('html[data-theme=dark]').waitFor();
  await page.click('tr[data-call=a] button:text("Watch")');
  await page.locator('#stream-text span').first().waitFor();
  expect(await page.evaluate(findFaint)).toEqual([]);
});

it('fits a phone of 375 points, and everything on it has a name', async () => {
  const page = await withCalls({ viewport: { width: 375, height: 812 }, hasTouch: true });
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(375);
  await page.locator('tr[data-call=a] button:text("Watch")').tap();
  await page.locator('#stream-text span').first().waitFor();
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(375);
  const unnamed =
    await page.evaluate(`[...document.querySelectorAll('button, input, [role], svg, canvas, dialog, aside')]
    .filter((element) => element.checkVisibility() && !element.matches('[role=status], [role=alert]'))
    .filter((element) => !element.ariaLabel && !element.hasAttribute('aria-labelledby') && !element.labels?.length && !element.textContent.trim())
    .map((element) => element.outerHTML)`);
  expect(unnamed).toEqual([]);
  await page.getByRole('button', { name: 'Pause echo' }).waitFor();
  await page.getByRole('meter', { name: 'requests left' }).waitFor();
  await page.getByRole('button', { name: 'Cancel e', exact: true }).waitFor();
});
