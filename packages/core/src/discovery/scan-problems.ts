export type ScanProblem = {
  path: string;
  code: "discovery.root_missing" | "discovery.unreadable" | "discovery.limit_reached";
  message: string;
};

/** A tree of unreadable folders must not fill memory with complaints. */
const MAX_PROBLEMS = 1_000;

/** What a scan could not do, in the words of its report. */
export class ScanProblems {
  readonly list: ScanProblem[] = [];

  /** A cap is always told: without it a report that was cut short would look whole. */
  report(path: string, code: ScanProblem["code"], message: string): void {
    if (code === "discovery.limit_reached" || this.list.length < MAX_PROBLEMS) this.list.push({ path, code, message });
  }

  /** A root that cannot be resolved or read. */
  onBadRoot(path: string, code: string): void {
    if (code === "ENOENT" || code === "ENOTDIR") {
      const what = code === "ENOENT" ? "there is no such folder" : "it is no folder";
      this.report(path, "discovery.root_missing", `${what}; check the path`);
    } else this.report(path, "discovery.unreadable", `the scan root cannot be read (${code})`);
  }

  /** A cap like any other: what was not answered for may still be there. */
  onNoAnswer(path: string, ms: number): void {
    this.report(path, "discovery.limit_reached", `its file system did not answer within ${ms} ms`);
  }

  /** A folder below a root. One that vanished while the scan ran is no problem. */
  onBadFolder(path: string, code: string): void {
    if (code === "ENOENT" && path.includes("\uFFFD"))
      this.report(path, "discovery.unreadable", "the folder's name is not valid UTF-8");
    else if (code !== "ENOENT") this.report(path, "discovery.unreadable", `the folder cannot be read (${code})`);
  }
}
