// Writes docs/images/*.png: the dashboard of a real `imodel serve` in its main states. `npm run screenshots`.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';
import { chromium } from 'playwright-core';

const program = new URL('../dist/src/cli/main.js', import.meta.url).pathname;
const folder = new URL('../docs/images/', import.meta.url).pathname;

/** Bytes that a picture in the README may have. */
const maxBytes = 200_000;

/** How long calls come before the first picture, in milliseconds: the timeline is to have something on it. */
const trafficMs = 120_000;

const server = spawn(process.execPath, [program, 'serve', '--demo', '--port', '0'], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
const url = await new Promise((resolve) => {
  let text = '';
  server.stdout.on('data', (data) => {
    text += data;
    const [, found] = /watch them at (http:\S+);/.exec(text) ?? [];
    if (found !== undefined) resolve(found);
  });
});
const executablePath = process.env.CHROMIUM || execFileSync('which', ['chromium'], { encoding: 'utf8' }).trim();
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });

async function call(model, content, callId, caller) {
  const body = JSON.stringify({ model, stream: true, messages: [{ role: 'user', content }] });
  const headers = { 'content-type': 'application/json', 'imodel-call': callId, 'imodel-caller': caller };
  // Those that still run at the end are left alone.
  await fetch(`${url}/v1/chat/completions`, { method: 'POST', headers, body })
    .then((response) => response.text())
    .catch(() => {});
}

async function picture(page, name) {
  const path = `${folder}${name}.png`;
  await page.screenshot({ path, animations: 'disabled' });
  const { size } = statSync(path);
  console.log(`${path}: ${Math.round(size / 1_000)} kB`);
  if (size > maxBytes) throw new Error(`${path} has ${size} bytes, more than ${maxBytes}`);
}

try {
  mkdirSync(folder, { recursive: true });
  const page = await browser.newPage({ viewport: { width: 1440, height: 1120 }, colorScheme: 'light' });
  await page.goto(url);
  await page.locator('.card').nth(3).waitFor();
  await new Promise((resolve) => setTimeout(resolve, trafficMs));
  await page.click('.card[data-model=shy] .pick');
  const cooling = page.locator('.state.lit[data-state="rate.cooling"]');
  // Its vendor refuses one call in nine, and then wants none for 12 s: the others wait.
  for (let made = 1; made <= 20 && (await cooling.count()) === 0; made += 1) {
    await Promise.race([call('shy', 'Are you there?', `knock-${made}`, 'ada'), cooling.waitFor()]);
  }
  for (let made = 1; made <= 5; made += 1) void call('shy', 'And now?', `again-${made}`, 'grace');
  await page.locator('tr[data-call=again-5] [data-label=Place]:not(.blank)').waitFor();
  await picture(page, 'dashboard-cooling');
  await page.click('.card[data-model=echo] .pick');
  const tripped = page.locator('.card[data-model=moody] .badge.bad');
  // Its bad days come after the 14th call, and then it is left alone for 10 s.
  for (let made = 1; made <= 60 && (await tripped.count()) === 0; made += 1) {
    await call('moody', 'How are you?', `mood-${made}`, 'alan');
  }
  void call('story', 'Tell me a story.', 'bedtime', 'grace');
  for (let made = 1; made <= 24; made += 1) void call('echo', 'What is an actor, in computing?', `ask-${made}`, 'ada');
  await page.locator('tr[data-call=ask-24] [data-label=Place]:not(.blank)').waitFor();
  await page.locator('.state.lit[data-state="rate.throttled"]').waitFor();
  await picture(page, 'dashboard-light');
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.setViewportSize({ width: 1440, height: 960 });
  await page.click('.card[data-model=story] .pick');
  await page.locator('tr[data-call=bedtime]').getByText('Watch').click();
  await page.locator('#stream-text', { hasText: 'served in order' }).waitFor();
  await page.evaluate(() => scrollTo(0, 0));
  await picture(page, 'dashboard-dark');

  const phone = await browser.newPage({
    viewport: { width: 375, height: 812 },
    deviceScaleFactor: 1.5,
    colorScheme: 'light',
  });
  await phone.goto(url);
  await phone.locator('.card').nth(3).waitFor();
  await picture(phone, 'dashboard-phone');
} finally {
  await browser.close();
  server.kill('SIGKILL');
}
