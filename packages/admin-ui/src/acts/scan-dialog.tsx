import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { callWithProgress } from "../api/client.ts";
import type { ResponseOf } from "../api/routes.ts";
import { TextField } from "../ui/field.tsx";
import { OutsideText } from "../ui/outside-text.tsx";
import { counted } from "../ui/time.tsx";
import { ActDialog } from "./act-dialog.tsx";
import { ReportDialog } from "./report-dialog.tsx";

type Report = ResponseOf<"scan">;

export function ScanDialog({ onClose }: { onClose: () => void }) {
  const client = useQueryClient();
  const [paths, setPaths] = useState("");
  const [report, setReport] = useState<Report>();
  const wanted = paths.split("\n").filter((path) => path.trim() !== "");
  if (report !== undefined) return <ScanReport report={report} onClose={onClose} />;
  return (
    <ActDialog
      title="Look for agents"
      lead={<p>Reads manifests below the usual folders, or below the ones you name. Only reads; nothing is run.</p>}
      confirm="Scan"
      icon="scan"
      perform={(onProgress, signal) =>
        callWithProgress("scan", { body: wanted.length === 0 ? {} : { paths: wanted } }, onProgress, signal)
      }
      done={(found) => {
        void client.invalidateQueries({ queryKey: ["agents"] });
        setReport(found);
        return null;
      }}
      keepOpen={() => true}
      onClose={onClose}
    >
      <TextField
        label="Folders"
        hint="One per line; empty for the usual ones."
        value={paths}
        onChange={setPaths}
        rows={2}
        code
      />
    </ActDialog>
  );
}

function summary(report: Report): string {
  const { found, new: fresh, updated, missing } = report;
  return `${counted(found, "agent")} found: ${fresh} new, ${updated} changed, ${missing} missing`;
}

function ScanReport({ report, onClose }: { report: Report; onClose: () => void }) {
  return (
    <ReportDialog
      title="What the scan found"
      lead={`${summary(report)}, in ${Math.round(report.duration_ms)} ms.`}
      onClose={onClose}
    >
      {report.rejected.length > 0 && (
        <Findings
          title="Not taken"
          rows={report.rejected.map(({ path, message, code }) => [path, `${message} (${code})`])}
        />
      )}
      {report.duplicates.length > 0 && (
        <Findings
          title="Copies of the same agent"
          rows={report.duplicates.map(({ path, kept }) => [path, `kept ${kept}`])}
        />
      )}
    </ReportDialog>
  );
}

function Findings({ title, rows }: { title: string; rows: [string, string][] }) {
  return (
    <section>
      <h3 className="small-title">{title}</h3>
      <ul className="findings">
        {rows.map(([path, text], index) => (
          <li key={index}>
            <code>
              <OutsideText text={path} />
            </code>
            <span className="muted">
              <OutsideText text={text} />
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
