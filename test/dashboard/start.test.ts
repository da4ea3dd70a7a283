import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { startProgram } from '../cli/program.ts';
import { useChromium } from './chromium.ts';

const browser = useChromium();

it('npm start needs no key and no server, prints where to look, and there is something to see', async () => {
  const { scripts } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  const [, words] = /dist\/src\/cli\/main\.js (.+)$/.exec(scripts.start) ?? [];
  expect(words).toBe('serve --demo --port 8080');
  const program = startProgram(['serve', '--demo', '--port', '0']);
  await program.until(/watch them at (http:\S+);/);
  const [, url = ''] = /watch them at (http:\S+);/.exec(program.stdout()) ?? [];
  const page = await browser().newPage();
  await page.goto(url);
  await page.locator('.card').nth(3).waitFor();
  expect(await page.locator('.card h3').allTextContents()).toEqual(['echo', 'moody', 'shy', 'story']);
  await page.locator('tr[data-call]').first().waitFor();
  await page.close();
  program.child.kill('SIGTERM');
  expect((await program.ended).code).toBe(0);
});
