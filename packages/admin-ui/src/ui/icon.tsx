/** Line icons on a grid of 24, drawn for the page: no font, no request. They are ornaments; the text beside them speaks. */
const PATHS = {
  agents: "M12 3 4 7.5v9L12 21l8-4.5v-9L12 3ZM4 7.5l8 4.5 8-4.5M12 12v9",
  tools:
    "M14.5 6.5a4 4 0 0 1 5-1.2l-2.7 2.7 1.2 2 2 .2 1.2-1.2a4 4 0 0 1-5.4 4.6L9 20.4a2 2 0 0 1-2.8 0l-.6-.6a2 2 0 0 1 0-2.8l6.8-6.8a4 4 0 0 1 2.1-3.7Z",
  audit: "M7 3h10a2 2 0 0 1 2 2v16l-3.5-2-3.5 2-3.5-2L5 21V5a2 2 0 0 1 2-2ZM9 8h6M9 12h6",
  doctor: "M3 12h4l2-6 4 13 3-9 1.5 2H21",
  settings: "M4 7h10M18 7h2M4 17h2M10 17h10M16 5v4M8 15v4",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14ZM20 20l-4-4",
  play: "M8 5.5v13l10.5-6.5L8 5.5Z",
  stop: "M7 7h10v10H7z",
  restart: "M20 11a8 8 0 1 0-2.3 6.3M20 5v6h-6",
  build: "M14 4l6 6-3 1-4 4-1 3-6-6 3-1 4-4 1-3ZM9 15l-5 5",
  download: "M12 4v11M7.5 11 12 15.5 16.5 11M5 20h14",
  shield: "M12 3 5 6v5.5c0 4.4 3 7.7 7 9.5 4-1.8 7-5.1 7-9.5V6l-7-3Z",
  plus: "M12 5v14M5 12h14",
  check: "M5 12.5 10 17.5 19.5 7",
  cross: "M6 6l12 12M18 6 6 18",
  alert: "M12 4 2.8 20h18.4L12 4ZM12 10v4.5M12 17.4v.1",
  info: "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17ZM12 11v5M12 8v.1",
  more: "M5 11.6v.8M12 11.6v.8M19 11.6v.8M4.6 12h.8M11.6 12h.8M18.6 12h.8",
  copy: "M9 9h10v11H9zM5 15V4h10",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6 19 19M5 19l1.4-1.4M17.6 6.4 19 5",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5Z",
  screen: "M4 5h16v11H4zM9 20h6M12 16v4",
  log: "M5 5h14M5 10h9M5 15h14M5 20h7",
  pause: "M8 5v14M16 5v14",
  down: "M12 5v14M6 13l6 6 6-6",
  right: "M9 5l7 7-7 7",
  scan: "M4 8V5a1 1 0 0 1 1-1h3M16 4h3a1 1 0 0 1 1 1v3M20 16v3a1 1 0 0 1-1 1h-3M8 20H5a1 1 0 0 1-1-1v-3M4 12h16",
  exit: "M14 4h5v16h-5M10 8l-4 4 4 4M6 12h9",
  key: "M8 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM12 12h9M17 12v3.5M20.5 12v2.5",
  link: "M10 14a4 4 0 0 0 5.7 0l3-3A4 4 0 1 0 13 5.3l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3A4 4 0 1 0 11 18.7l1-1",
  power: "M12 4v8M7 6.5a7.5 7.5 0 1 0 10 0",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg className="icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}

export function Mark({ size = 26 }: { size?: number }) {
  return (
    <svg className="mark" width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <circle cx="16" cy="16" r="12.5" className="mark-ring" />
      <path d="M16 3.5a12.5 12.5 0 0 1 12.5 12.5" className="mark-arc" />
      <circle cx="16" cy="16" r="4.5" className="mark-core" />
    </svg>
  );
}
