/** Version of this program, from its package.json; the bundler copies it in. */
import manifest from "../../package.json" with { type: "json" };

export const VERSION: string = manifest.version;
