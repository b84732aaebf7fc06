import { useState } from "react";
import { announce } from "../shell/announcer.tsx";
import { Button } from "./button.tsx";

export function CopyButton({ text, label }: { text: string; label: string }) {
  const [isCopied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
      announce("Copied");
    } catch {
      announce("The browser did not let the page copy; select the text instead");
    }
  };
  return (
    <Button
      kind="quiet"
      small
      icon={isCopied ? "check" : "copy"}
      aria-label={label}
      title={label}
      onClick={() => void copy()}
    />
  );
}
