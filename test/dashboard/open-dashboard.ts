import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { onTestFinished } from 'vitest';
import { folder, type Running, startProgram } from '../cli/program.ts';
import { uniqueId } from '../integration/connect-test-bus.ts';

/** A page that shows a real `imodel serve`; both are gone when the test is over. */
export interface OpenDashboard {
  readonly page: Page;
  readonly url: string;
  readonly program: Running;
  /** What the browser complained about: errors, and everything that the page's policy forbade. */
  readonly complaints: readonly string[];
  /** Calls an iModel as any client does; the answer may be read. */
  call(model: string, text: string, options?: CallFlags): Promise<Response>;
}

/** How a call is made. */
export interface CallFlags {
  readonly stream?: boolean;
  readonly callId?: string;
  readonly caller?: string;
}

/** Serves iModels and opens their page. */
export async function openDashboard(
  browser: Browser,
  models: Readonly<Record<string, object>>,
  { gateway = {}, ...context }: BrowserContextOptions & { readonly gateway?: object } = {},
): Promise<OpenDashboard> {
  const path = join(folder, `${uniqueId()}.json`);
  writeFileSync(path, JSON.stringify({ models, gateway: { port: 0, ...gateway } }));
  const program = startProgram(['serve', '--config', path]);
  await program.until(/ready: .*http/);
  const [url = ''] = /http:\/\/127\.0\.0\.1:\d+/.exec(program.stdout()) ?? [];
  const opened = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...context });
  const page = await opened.newPage();
  onTestFinished(async () => {
    await opened.close();
    program.child.kill('SIGKILL');
    await program.ended;
  });
  // An answer that nobody holds is collected, and its connection with it: its call would end before its time.
  const answers: Response[] = [];
  onTestFinished(() => {
    answers.length = 0;
  });
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(url);
  const call = async (model: string, text: string, flags: CallFlags = {}): Promise<Response> => {
    const answer = await callModel(url, model, text, flags);
    answers.push(answer);
    return answer;
  };
  return { page, url, program, complaints, call };
}

function callModel(url: string, model: string, text: string, flags: CallFlags): Promise<Response> {
  const { stream = false, callId, caller } = flags;
  return fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(callId === undefined ? {} : { 'imodel-call': callId }),
      ...(caller === undefined ? {} : { 'imodel-caller': caller }),
    },
    body: JSON.stringify({ model, stream, messages: [{ role: 'user', content: text }] }),
  });
}
