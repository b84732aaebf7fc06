/**
 * What a person sees who follows a link of another page to this one. Core refuses that request as every other of another
 * origin; a browser would show the JSON of the refusal, which tells nobody what to do.
 *
 * SECURITY: this is the only text that a foreign page can bring to a screen under our address, so it is the same for
 * everybody: no script, no style, no address, nothing of Core or of the request. Pinned by "a link of another page is
 * refused with words for a person, the same for everybody".
 */
import type { CoreError } from "@opensentience/protocol";
import { plainPage } from "./plain-page.ts";

const TEXT = plainPage(
  "OpenSentience Core: not opened",
  `<h1>This page does not open from a link</h1>
<p>Another page led your browser here. OpenSentience Core refuses that, so that no other page can act in your name. Nothing was done.</p>
<p>To open the page, type in a terminal: <code>opensentience open</code></p>
<p>Or, if you wanted to come here, go to the address bar and press Enter. Reloading does not help: the browser then says again who sent it.</p>
<p><small>web.origin_refused</small></p>
`,
);

const HEADERS: Readonly<Record<string, string>> = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
};

/** Undefined where the refusal is no matter of a link that somebody followed, and stays JSON. */
export function refusedPage(
  error: CoreError,
  isNavigation: boolean,
): { headers: Readonly<Record<string, string>>; text: string } | undefined {
  return isNavigation && error.code === "web.origin_refused" ? { headers: HEADERS, text: TEXT } : undefined;
}
