const TIMEOUT_MS = 5000;
const MAX_LINKS = 50;

/** Asks for the head of each https page that the notes link to. No network, no approval: then it says "unreachable". */
export async function checkWebLinks(notes, signal) {
  const links = [...new Set(notes.flatMap((note) => note.links))].filter((link) => link.startsWith("https://"));
  return Promise.all(links.slice(0, MAX_LINKS).map(async (link) => ({ link, answer: await ask(link, signal) })));
}

async function ask(link, signal) {
  try {
    const timeout = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
    const response = await fetch(link, { method: "HEAD", redirect: "manual", signal: timeout });
    return response.status;
  } catch {
    return "unreachable";
  }
}
