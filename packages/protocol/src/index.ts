export * from "./control.ts";
export * from "./display.ts";
export * from "./errors.ts";
export * from "./ids.ts";
export * from "./manifest.ts";
export * from "./permissions.ts";
export * from "./run-environment.ts";
export * from "./words.ts";
