/**
 * Credentials that can be recognised by their shape alone. One row per issuer: `anchors` are literals of which at
 * least one is in every match (they make the cheap search over whole chunks possible), `shape` is the source of a
 * linear pattern. A first group in a shape is context that stays.
 */

import type { Span } from "./span.ts";

type Shape = { label: string; anchors: string[]; shape: string; accept?: (found: string) => boolean };

const hex = (anchor: string): string[] => [..."0123456789abcdef"].map((digit) => anchor + digit);

const SHAPES: readonly Shape[] = [
  {
    // The second form is one whose end is not in sight. A beginning without a dot is taken too and then refused, so that
    // what begins inside it is not looked at once more.
    label: "jwt",
    anchors: ["eyJ"],
    shape: "eyJ[A-Za-z0-9_-]{8,}(?:(?:\\.[A-Za-z0-9_-]*){2,4}|\\.eyJ[A-Za-z0-9_-]{8,})?",
    accept: (found) => found.includes("."),
  },
  {
    label: "aws_access_key",
    anchors: ["AKIA", "ASIA", "ABIA", "ACCA"],
    shape: "(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])",
  },
  { label: "google_api_key", anchors: ["AIza"], shape: "AIza[A-Za-z0-9_-]{35}" },
  {
    label: "google_oauth_token",
    anchors: ["ya29.", "GOCSPX-", "1//0"],
    shape: "(?:ya29\\.|GOCSPX-|1//0)[A-Za-z0-9_-]{20,}",
  },
  {
    label: "azure_secret",
    anchors: [..."0123456789"].map((digit) => `${digit}Q~`),
    shape: "[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}",
  },
  { label: "github_token", anchors: ["ghp_", "gho_", "ghu_", "ghs_", "ghr_"], shape: "gh[pousr]_[A-Za-z0-9]{30,}" },
  { label: "github_token", anchors: ["github_pat_"], shape: "github_pat_[A-Za-z0-9_]{22,}" },
  {
    label: "gitlab_token",
    anchors: ["glpat-", "gloas-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glimt-", "glagent-", "glsoat-"],
    shape: "gl(?:pat|oas|dt|rt|cbt|ptt|ft|imt|agent|soat)-[A-Za-z0-9_.-]{16,}",
  },
  {
    label: "atlassian_token",
    anchors: ["ATATT3", "ATCTT3", "ATBB"],
    shape: "(?:ATATT3|ATCTT3|ATBB)[A-Za-z0-9_=-]{24,}",
  },
  { label: "npm_token", anchors: ["npm_"], shape: "npm_[A-Za-z0-9]{36,}" },
  { label: "pypi_token", anchors: ["pypi-"], shape: "pypi-[A-Za-z0-9_-]{50,}" },
  { label: "rubygems_token", anchors: ["rubygems_"], shape: "rubygems_[a-f0-9]{40,}" },
  { label: "docker_token", anchors: ["dckr_pat_", "dckr_oat_"], shape: "dckr_[po]at_[A-Za-z0-9_-]{20,}" },
  { label: "hex_token", anchors: ["oy2"], shape: "oy2[a-z0-9]{43}(?![A-Za-z0-9])" },
  {
    label: "slack_token",
    anchors: ["xox", "xapp-"],
    shape: "(?:xox[a-z](?:\\.xox[bp])?-|xapp-[0-9]-)[A-Za-z0-9-]{10,}",
  },
  {
    label: "slack_webhook",
    anchors: ["hooks.slack.com/"],
    shape: "(hooks\\.slack\\.com/(?:services|workflows)/)[A-Za-z0-9/_-]{16,}",
  },
  {
    label: "discord_webhook",
    anchors: ["/api/webhooks/"],
    shape: "(discord(?:app)?\\.com/api/webhooks/[0-9]{5,25}/)[A-Za-z0-9_-]{30,}",
  },
  { label: "telegram_token", anchors: [":AA"], shape: "[0-9]{8,10}:AA[A-Za-z0-9_-]{32,}" },
  {
    label: "stripe_key",
    anchors: ["sk_live_", "sk_test_", "rk_live_", "rk_test_"],
    shape: "[sr]k_(?:live|test)_[A-Za-z0-9]{10,}",
  },
  { label: "webhook_secret", anchors: ["whsec_"], shape: "whsec_[A-Za-z0-9+/=]{20,}" },
  { label: "anthropic_key", anchors: ["sk-ant-"], shape: "sk-ant-[A-Za-z0-9_-]{20,}" },
  {
    label: "openai_key",
    anchors: ["sk-proj-", "sk-svcacct-", "sk-admin-", "sk-or-"],
    shape: "sk-(?:proj|svcacct|admin|or)-[A-Za-z0-9_-]{20,}",
  },
  { label: "openai_key", anchors: ["sk-"], shape: "sk-[A-Za-z0-9]{20,}", accept: (found) => /[0-9]/.test(found) },
  { label: "huggingface_token", anchors: ["hf_"], shape: "hf_[A-Za-z0-9]{30,}" },
  { label: "groq_key", anchors: ["gsk_"], shape: "gsk_[A-Za-z0-9]{40,}" },
  {
    label: "model_api_key",
    anchors: ["xai-", "pplx-", "nvapi-", "r8_"],
    shape: "(?:xai-|pplx-|nvapi-|r8_)[A-Za-z0-9_-]{36,}",
  },
  { label: "sendgrid_key", anchors: ["SG."], shape: "SG\\.[A-Za-z0-9_-]{16,32}\\.[A-Za-z0-9_-]{16,}" },
  { label: "mailgun_key", anchors: ["key-"], shape: "key-[0-9a-f]{32}(?![A-Za-z0-9])" },
  { label: "twilio_key", anchors: hex("SK"), shape: "SK[0-9a-f]{32}(?![A-Za-z0-9])" },
  { label: "square_token", anchors: ["sq0atp-", "sq0csp-"], shape: "sq0(?:atp|csp)-[A-Za-z0-9_-]{22,}" },
  {
    label: "shopify_token",
    anchors: ["shpat_", "shpca_", "shppa_", "shpss_"],
    shape: "shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}",
  },
  { label: "digitalocean_token", anchors: ["dop_v1_", "doo_v1_", "dor_v1_"], shape: "do[opr]_v1_[a-f0-9]{60,}" },
  { label: "linear_key", anchors: ["lin_api_"], shape: "lin_api_[A-Za-z0-9]{30,}" },
  { label: "notion_token", anchors: ["secret_", "ntn_"], shape: "(?:secret_|ntn_)[A-Za-z0-9]{40,}" },
  { label: "figma_token", anchors: ["figd_"], shape: "figd_[A-Za-z0-9_-]{30,}" },
  { label: "databricks_token", anchors: ["dapi"], shape: "dapi[a-f0-9]{32}" },
  { label: "vault_token", anchors: ["hvs.", "hvb.", "hvr."], shape: "hv[sbr]\\.[A-Za-z0-9_-]{24,}" },
  { label: "terraform_token", anchors: [".atlasv1."], shape: "[A-Za-z0-9]{14}\\.atlasv1\\.[A-Za-z0-9_=-]{40,}" },
  {
    label: "doppler_token",
    anchors: ["dp.pt.", "dp.st.", "dp.ct.", "dp.sa."],
    shape: "dp\\.(?:pt|st|ct|sa)\\.[A-Za-z0-9._-]{36,}",
  },
  { label: "grafana_token", anchors: ["glsa_", "glc_"], shape: "gl(?:sa|c)_[A-Za-z0-9_+/=]{32,}" },
  { label: "newrelic_key", anchors: ["NRAK-"], shape: "NRAK-[A-Z0-9]{27}" },
  { label: "sentry_token", anchors: ["sntrys_", "sntryu_"], shape: "sntry[su]_[A-Za-z0-9_+/=]{40,}" },
  { label: "postman_key", anchors: ["PMAK-"], shape: "PMAK-[a-f0-9]{24}-[a-f0-9]{34}" },
  { label: "planetscale_token", anchors: ["pscale_"], shape: "pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.=-]{30,}" },
  { label: "fly_token", anchors: ["FlyV1 fm", "fo1_"], shape: "(?:FlyV1 fm[0-9]_|fo1_)[A-Za-z0-9_+/=-]{30,}" },
  { label: "tailscale_key", anchors: ["tskey-"], shape: "tskey-[a-z]+-[A-Za-z0-9-]{16,}" },
  { label: "age_secret_key", anchors: ["AGE-SECRET-KEY-"], shape: "AGE-SECRET-KEY-[A-Z0-9]{50,}" },
  { label: "supabase_token", anchors: ["sbp_"], shape: "sbp_[a-f0-9]{40}" },
  {
    // The base64 of "-----BEGIN … PRIVATE KEY-----" (kubeconfig, CI variables); that of a certificate stays.
    label: "private_key",
    anchors: ["LS0tLS1CRUdJTi"],
    shape:
      "LS0tLS1CRUdJTi(?:BQUklWQVRF|BSU0EgUFJJVk|BFQyBQUklW|BPUEVOU1NI|BFTkNSWVBURU|BEU0EgUFJJ|BQR1AgUFJJ)[A-Za-z0-9+/=_-]{16,}",
  },
  { label: "azure_signature", anchors: ["sig="], shape: "(sig=)[A-Za-z0-9%+/=_-]{20,}" },
  {
    label: "bearer",
    anchors: ["earer ", "EARER "],
    shape: "([Bb]earer[ \\t]{1,4}|BEARER[ \\t]{1,4})(?!\\[redacted)[A-Za-z0-9._~+/=-]{8,}",
    accept: (found) => /[0-9_]|[a-z][A-Z]|[A-Z]{2}/.test(found),
  },
  {
    label: "basic_credentials",
    anchors: ["asic ", "ASIC "],
    shape: "([Bb]asic[ \\t]{1,4}|BASIC[ \\t]{1,4})[A-Za-z0-9+/_-]{6,}={0,2}",
    accept: isUserAndPassword,
  },
  {
    label: "url_userinfo",
    anchors: ["://"],
    shape:
      "([a-zA-Z][a-zA-Z0-9+.-]{1,20}://)(?!\\[redacted)[^\\s/?#\"'<>`\\\\:@]{0,256}:[^\\s/?#\"'<>`\\\\]{1,512}(?=@)",
    accept: (found) => !found.endsWith(":"),
  },
  {
    label: "url_userinfo",
    anchors: ["://"],
    shape: "(https?://)[A-Za-z0-9_.~%-]{16,512}(?=@)",
    accept: (found) => /[0-9]/.test(found),
  },
];

/** Every match of a shape contains one of these. */
export const SHAPE_ANCHORS: readonly string[] = [...new Set(SHAPES.flatMap((row) => row.anchors))];

const COMPILED = SHAPES.map((row) => ({ ...row, pattern: new RegExp(`(?<![A-Za-z0-9])(?:${row.shape})`, "g") }));

/**
 * Everything in `piece` (one line or a window of one, at most 8 KiB) that has the shape of a credential. `anchors` are
 * those of SHAPE_ANCHORS that are in the line.
 */
export function shapeSpans(piece: string, anchors: ReadonlySet<string>): Span[] {
  const spans: Span[] = [];
  if (anchors.size === 0) return spans;
  for (const row of COMPILED) {
    if (!row.anchors.some((anchor) => anchors.has(anchor) && piece.includes(anchor))) continue;
    for (const match of piece.matchAll(row.pattern)) {
      const context = match[1]?.length ?? 0;
      if (row.accept !== undefined && !row.accept(match[0].slice(context))) continue;
      const end = match.index + match[0].length;
      spans.push({ from: match.index, start: match.index + context, end, label: row.label });
    }
  }
  return spans;
}

/** Tells the credentials of a Basic header from the English word after "basic". */
function isUserAndPassword(found: string): boolean {
  const decoded = Buffer.from(found, "base64").toString("latin1");
  return /^[\x20-\x39\x3b-\x7e\x80-\xff]*:[\x20-\x7e\x80-\xff]+$/.test(decoded);
}
