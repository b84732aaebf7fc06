import { openInBrowser } from "../browser.ts";
import type { CommandContext } from "../context.ts";

/** Opens the signed-in page where there is a browser to open it in, and prints the link everywhere else. */
export async function run(context: CommandContext): Promise<void> {
  const client = await context.connect();
  const link = (forBrowser: boolean): ReturnType<typeof client.call<"make_sign_in_link">> =>
    client.call("make_sign_in_link", { body: { for_browser: forBrowser } });
  if (!context.options.flag("print")) {
    const { url, for_browser: isSafe, valid_ms } = await link(true);
    // Without it the code is one that everybody could use, and the arguments of a browser are for everybody to read.
    if (isSafe && (await openInBrowser(url))) {
      const page = url.replace(/#.*/, "");
      context.output.result({ url: page, opened: true, valid_ms }, () => `Opened ${page} in your browser`);
      return;
    }
  }
  const { url, valid_ms } = await link(false);
  context.output.result({ url, opened: false, valid_ms }, () => url);
  context.output.note(`signs in once, within ${valid_ms / 1000} seconds`);
}
