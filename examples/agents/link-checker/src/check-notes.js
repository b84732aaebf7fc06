import { readdir, readFile, stat } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { marked } from "marked";

const MAX_NOTES = 5000;

/** Reads every markdown file below `folder` and answers what was counted and which relative links lead nowhere. */
export async function checkNotes(folder, locale) {
  const paths = (await listNotes(folder)).slice(0, MAX_NOTES);
  const notes = [];
  const broken = [];
  for (const path of paths) {
    const { text, links } = readNote(await readFile(path, "utf8"));
    const name = relative(folder, path);
    notes.push({ note: name, words: countWords(text, locale), links });
    for (const target of links.filter(isRelative)) {
      if (!(await exists(resolve(dirname(path), pathOf(target))))) broken.push({ note: name, target });
    }
  }
  return {
    checked_at: new Date().toISOString(),
    folder,
    words: notes.reduce((sum, note) => sum + note.words, 0),
    links: notes.reduce((sum, note) => sum + note.links.length, 0),
    broken,
    notes,
  };
}

async function listNotes(folder) {
  const entries = await readdir(folder, { withFileTypes: true });
  const found = await Promise.all(
    entries.map((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory())
        return entry.name.startsWith(".") || entry.name === "node_modules" ? [] : listNotes(path);
      return entry.isFile() && entry.name.endsWith(".md") ? [path] : [];
    }),
  );
  return found.flat().sort();
}

/** The words a reader sees, and the targets of all links and images; code is neither. */
function readNote(source) {
  const links = [];
  const texts = [];
  marked.walkTokens(marked.lexer(source), (token) => {
    if (token.type === "link" || token.type === "image") links.push(token.href);
    if (token.type === "text" && token.tokens === undefined) texts.push(token.text);
  });
  return { text: texts.join(" "), links };
}

function countWords(text, locale) {
  let words = 0;
  for (const { isWordLike } of new Intl.Segmenter(locale, { granularity: "word" }).segment(text)) {
    if (isWordLike) words += 1;
  }
  return words;
}

function isRelative(target) {
  return target !== "" && !target.startsWith("#") && !target.startsWith("/") && !/^[a-z][a-z0-9+.-]*:/i.test(target);
}

/** The file a link names: without its anchor and query, percent-decoded where that is possible. */
function pathOf(target) {
  const path = target.replace(/[#?].*$/, "");
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

async function exists(path) {
  return stat(path).then(
    () => true,
    () => false,
  );
}
