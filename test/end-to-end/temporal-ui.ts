/** Temporal's UI (seen as version 2.42) in a real browser, worked as an operator does: by what stands on the screen. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { chromium, type Browser, type Locator, type Page } from 'playwright-core';
import { ensureBrowser } from '../../sandbox/browser';
import { projectFolder } from '../../sandbox/processes';
import { eventually } from '../eventually';

const viewport = { width: 1200, height: 840 };
const waitMs = 30_000;

type Box = NonNullable<Awaited<ReturnType<Locator['boundingBox']>>>;

async function boxOf(locator: Locator): Promise<Box> {
  const box = await locator.boundingBox();
  if (box === null) throw new Error(`It is not on the screen: ${String(locator)}`);
  return box;
}

export class TemporalUi {
  private constructor(
    private readonly browser: Browser,
    private readonly page: Page,
    private readonly url: string,
    private readonly screenshotFolder: string,
  ) {}

  static async open(url: string, screenshots: string): Promise<TemporalUi> {
    const screenshotFolder = path.join(projectFolder, 'test-results', screenshots);
    await mkdir(screenshotFolder, { recursive: true });
    const browser = await chromium.launch({ executablePath: await ensureBrowser(() => {}), args: ['--disable-gpu'] });
    const page = await browser.newPage({ viewport, timezoneId: 'UTC' });
    page.setDefaultTimeout(waitMs);
    return new TemporalUi(browser, page, url, screenshotFolder);
  }

  close(): Promise<void> {
    return this.browser.close();
  }

  /** Of the whole window or of a part of it, without the buttons that float over it. */
  async screenshot(name: string, part?: Box): Promise<void> {
    await this.page.screenshot({
      path: path.join(this.screenshotFolder, `${name}.png`),
      animations: 'disabled',
      ...(part && { clip: part, style: 'button[aria-label^="Scroll to"] { visibility: hidden }' }),
    });
  }

  /** From the filter down to below the rows. */
  async screenshotList(name: string): Promise<void> {
    const top = await boxOf(this.page.getByTestId('toggle-manual-query'));
    const bottom = await boxOf(this.page.getByTestId('workflows-summary-table-configuration-button'));
    const [x, y] = [80, top.y - 24];
    await this.screenshot(name, { x, y, width: viewport.width - x - 16, height: bottom.y + bottom.height + 16 - y });
  }

  async screenshotDetails(name: string): Promise<void> {
    const heading = await boxOf(this.page.getByRole('heading', { name: 'Current Details' }));
    const { x, width, y, height } = await boxOf(this.detailsFrame);
    const top = heading.y - 16;
    await this.screenshot(name, { x: x - 8, y: top, width: width + 16, height: y + height - top });
  }

  /** The list of workflows, by a query that is typed where the UI takes one. */
  async listWorkflows(query: string): Promise<void> {
    await this.page.goto(`${this.url}/namespaces/default/workflows`, { waitUntil: 'domcontentloaded' });
    await this.page.getByTestId('toggle-manual-query').click();
    await this.page.getByRole('searchbox', { name: 'Enter a query' }).fill(query);
    await this.page.getByRole('button', { name: 'Search', exact: true }).click();
    await this.page.waitForURL((url) => url.searchParams.get('query') === query);
  }

  /** The browser remembers the columns. */
  async chooseColumns({ add, remove }: { readonly add: readonly string[]; readonly remove: readonly string[] }) {
    await this.page.getByTestId('workflows-summary-table-configuration-button').click();
    for (const column of remove) await this.page.getByTestId(`orderable-list-item-${column}-remove-button`).click();
    for (const column of add) await this.page.getByTestId(`orderable-list-item-${column}-add-button`).click();
    await this.page.getByTestId('drawer-close-button').click();
    await this.page.getByRole('button', { name: 'Collapse saved views' }).click();
  }

  /** The rows of the list as their cells' texts, once there are as many as `count`. */
  async rows(count: number): Promise<string[][]> {
    const rows = this.page.getByRole('table', { name: 'Workflows' }).getByRole('row');
    const read = async (): Promise<string[][]> => {
      const bodyRows = (await rows.all()).slice(1);
      return Promise.all(bodyRows.map((row) => row.getByRole('cell').allInnerTexts()));
    };
    return eventually(read, ({ length }) => length === count, waitMs);
  }

  async openWorkflow(workflowId: string): Promise<void> {
    await this.page.getByRole('link', { name: workflowId, exact: true }).click();
    await this.page.getByRole('heading', { level: 1, name: workflowId }).waitFor();
  }

  async openTab(name: 'History' | 'Pending Activities' | 'Call Stack' | 'Queries' | 'User Metadata'): Promise<void> {
    await this.page.getByRole('tab', { name }).click();
  }

  /** Of the tab History: shows all of the newest event of this type. */
  async openEvent(type: string): Promise<void> {
    await this.page.getByRole('row').getByText(type, { exact: true }).first().click();
  }

  /** Of the tab Queries: the one that is chosen already. */
  async runQuery(): Promise<void> {
    await this.page.getByRole('button', { name: 'Run Query' }).click();
  }

  /** All that stands on the page, the frames in it included, once these texts are among it. */
  async shown(...texts: string[]): Promise<string> {
    // A frame may go away while it is read.
    const read = async (): Promise<string> => {
      const frames = this.page.frames().map((frame) => frame.locator('body'));
      const bodies = frames.map((body) => body.innerText({ timeout: 1_000 }).catch(() => ''));
      return (await Promise.all(bodies)).join('\n');
    };
    return eventually(read, (shown) => texts.every((text) => shown.includes(text)), waitMs);
  }

  /** In the dialog behind the glasses. The browser remembers it. */
  async nameCodecServer(url: string): Promise<void> {
    await this.page.getByRole('button', { name: 'Configure Codec Server' }).click();
    await this.page.getByRole('textbox', { name: 'Codec Server browser endpoint' }).fill(url);
    await this.page.getByRole('button', { name: 'Apply', exact: true }).click();
  }

  /** Until the glasses say so. */
  async untilCodecServerRefuses(): Promise<void> {
    await this.page.getByRole('button', { name: 'Codec Server could not connect' }).waitFor();
  }

  /** Until the workflow's own status, above its tabs, is this. */
  async untilStatus(status: 'Running' | 'Completed'): Promise<void> {
    await this.page.getByRole('main').getByText(status, { exact: true }).first().waitFor();
  }

  /**
   * The current details as the screen shows them, once they contain `text`. They are in a frame of their own, and are
   * read anew only when somebody asks for it.
   */
  async details(text: string): Promise<Locator> {
    const pane = this.detailsFrame.contentFrame().locator('body');
    await pane.waitFor();
    await eventually(
      async () => {
        // The UI takes no notice of a press while it still reads, be it only the answer that has just come.
        const read = this.page
          .waitForResponse((response) => response.url().includes('__temporal_workflow_metadata'), { timeout: 1_000 })
          .catch(() => undefined);
        await this.page.keyboard.press('r');
        await read;
        return pane.innerText();
      },
      (shown) => shown.includes(text),
      waitMs,
    );
    await this.detailsFrame.evaluate((frame) => frame.scrollIntoView({ block: 'end' }));
    return pane;
  }

  private get detailsFrame(): Locator {
    return this.page.getByRole('main').locator('iframe').last();
  }

  /** The dialog of "More Actions". The input is JSON, or nothing. */
  async sendSignal(name: string, input?: string, screenshot?: string): Promise<void> {
    await this.page.getByRole('button', { name: 'More Actions' }).click();
    await this.page.getByRole('menuitem', { name: 'Send a Signal' }).click();
    const dialog = this.page.getByRole('dialog', { name: 'Send a Signal' });
    await dialog.getByRole('button', { name: 'Select a signal' }).click();
    await dialog.getByRole('option', { name }).click();
    if (input !== undefined) {
      const editor = dialog.getByRole('textbox').last();
      await editor.click();
      await this.page.keyboard.type(input);
      if ((await editor.innerText()).trim() !== input) throw new Error(`The dialog did not take the input ${input}`);
    }
    if (screenshot !== undefined) await this.screenshot(screenshot);
    await dialog.getByRole('button', { name: 'Submit' }).click();
    // It stays, with the reason, if the signal was not taken.
    await dialog.waitFor({ state: 'hidden' });
  }
}

/** Those texts of a frame that nobody sees without scrolling within it. */
export const outOfSight = (pane: Locator): Promise<string[]> =>
  pane.evaluate((body) => {
    const { innerHeight, innerWidth } = body.ownerDocument.defaultView ?? { innerHeight: 0, innerWidth: 0 };
    return [...body.querySelectorAll('p, li, td, th, h3, code')]
      .filter((element) => {
        const { top, right, bottom } = element.getBoundingClientRect();
        return top < 0 || right > innerWidth || bottom > innerHeight;
      })
      .map(({ textContent }) => textContent);
  });
