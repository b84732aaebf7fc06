/** OpenAPI 3.1, made from the schemas that validate requests, so that the two cannot differ. */
import { CONTROL_ROUTES, type ControlOperation, type ControlRoute } from "@opensentience/protocol";
import { z } from "zod";

let made: { version: string; text: string } | undefined;

/** The document as JSON text. It is made once: that takes some ten milliseconds, in which Core answers nobody else. */
export function openApiText(version: string): string {
  if (made?.version !== version) made = { version, text: JSON.stringify(openApiDocument(version)) };
  return made.text;
}

function openApiDocument(version: string): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const [operation, route] of Object.entries(CONTROL_ROUTES) as [ControlOperation, ControlRoute][]) {
    (paths[`/api/v1${route.path}`] ??= {})[route.method] = operationObject(operation, route);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "OpenSentience Core control API",
      version,
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    paths,
    // On the control socket its file's owner is who asks, and none of these is looked at.
    security: [{ token: [] }, { session_cookie: [], page_secret: [] }],
    components: { schemas: { Problem: PROBLEM }, securitySchemes: SECURITY },
  };
}

function operationObject(operationId: string, route: ControlRoute): Record<string, unknown> {
  const type =
    route.events === true ? "text/event-stream" : route.lines === true ? "application/x-ndjson" : "application/json";
  return {
    operationId,
    summary: route.summary,
    ...(route.boundary === true ? { "x-trust-boundary": "executes_third_party_code" } : {}),
    parameters: [...parameters(route.params, "path"), ...parameters(route.query, "query")],
    ...(route.body === undefined
      ? {}
      : {
          requestBody: { required: true, content: { "application/json": { schema: schemaOf(route.body, "input") } } },
        }),
    responses: {
      "200": {
        description:
          route.progress === true
            ? "The result; with accept: application/x-ndjson progress lines before it"
            : "The result",
        content: { [type]: { schema: schemaOf(route.response, "output") } },
      },
      default: {
        description: "An error",
        content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
      },
    },
  };
}

function parameters(schema: z.ZodType | undefined, place: "path" | "query"): unknown[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = schemaOf(schema, "input") as {
    properties?: Record<string, unknown>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, own]) => ({
    name,
    in: place,
    required: place === "path" || required.includes(name),
    schema: own,
  }));
}

function schemaOf(schema: z.ZodType, io: "input" | "output"): Record<string, unknown> {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: "any" }) as Record<
    string,
    unknown
  >;
  return rest;
}

const SECURITY = {
  token: { type: "http", scheme: "bearer", description: "the token of state/web.token" },
  session_cookie: {
    type: "apiKey",
    in: "cookie",
    name: "opensentience_<last 12 digits of instance_id>",
    description: "set by POST /sign-in; worth nothing without page_secret",
  },
  page_secret: {
    type: "apiKey",
    in: "header",
    name: "x-csrf-token",
    description: "csrf_token of the answer of POST /sign-in, told once; on every request, reads and streams too",
  },
};

/** RFC 9457 with the members of the CLI's error JSON. */
const PROBLEM = {
  type: "object",
  required: ["status", "code", "detail"],
  properties: {
    type: { type: "string" },
    title: { type: "string" },
    status: { type: "integer" },
    code: { type: "string" },
    detail: { type: "string" },
    details: { type: "object" },
    next_step: { type: ["string", "null"] },
  },
};
