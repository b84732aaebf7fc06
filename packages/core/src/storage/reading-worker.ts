/** The thread of reading-thread.ts. */
import { DatabaseSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";

const { path, statements } = workerData as { path: string; statements: string[] };
const database = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
// SECURITY: what somebody else wrote into the schema must call nothing.
database.exec("PRAGMA trusted_schema = OFF");
parentPort?.postMessage(statements.map((sql) => database.prepare(sql).all()));
database.close();
