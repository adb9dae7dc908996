import { Paperclip, Send, X } from "lucide-react";
import { type KeyboardEvent, useId, useRef, useState } from "react";
import { useTranslations } from "use-intl";
import type { Attachment } from "../../api/actions";
import { InlineError } from "../../components/notice";
import { bytes } from "../../lib/format";
import { readFile } from "../../lib/sent-files";

/** All files together; base64 makes them a third larger, and the server takes 24 MiB. */
const MOST = 16 * 1024 * 1024;

interface Props {
  label: string;
  busy: boolean;
  /** Rejects when the message was not taken; the text then stays. */
  onSend: (text: string, files: Attachment[]) => Promise<void>;
  attachments?: boolean;
  disabled?: boolean;
}

/** Enter sends, Shift+Enter begins a new line. */
export function Composer({ label, busy, onSend, attachments = false, disabled = false }: Props) {
  const t = useTranslations("chat");
  const id = useId();
  const picker = useRef<HTMLInputElement>(null);
  const field = useRef<HTMLTextAreaElement>(null);
  const [text, setText] = useState("");
  const [files, setFiles] = useState<File[]>([]);
  const [problem, setProblem] = useState("");

  const add = (more: File[]) => {
    const all = [...files, ...more];
    const tooLarge = all.reduce((sum, f) => sum + f.size, 0) > MOST;
    setProblem(tooLarge ? t("tooLarge", { name: more.at(-1)?.name ?? "", limit: bytes(MOST) }) : "");
    if (!tooLarge) setFiles(all);
  };
  const send = async () => {
    if (text.trim() === "" || busy || disabled) return;
    const read: Attachment[] = [];
    for (const file of files) {
      try {
        read.push(await readFile(file));
      } catch {
        setProblem(t("unreadable", { name: file.name }));
        return;
      }
    }
    try {
      await onSend(text.trim(), read);
    } catch {
      return; // shown by whoever sends; the text stays for another try
    }
    setText("");
    setFiles([]);
    setProblem("");
    field.current?.focus();
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    void send();
  };

  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
      className="flex flex-col gap-2 rounded-lg border border-line bg-surface p-2.5 focus-within:border-accent"
    >
      {files.length > 0 && (
        <ul aria-label={t("attached")} className="flex flex-wrap gap-1.5">
          {files.map((file, i) => (
            <li
              key={`${file.name}${i}`}
              className="flex max-w-full items-center gap-1.5 rounded-md border border-line px-2 py-0.5 text-sm"
            >
              <span className="truncate">{file.name}</span>
              <span className="num shrink-0 text-ink-2">{bytes(file.size)}</span>
              <button
                type="button"
                aria-label={t("detach", { name: file.name })}
                onClick={() => setFiles(files.filter((f) => f !== file))}
                className="shrink-0 rounded p-1 hover:bg-raised"
              >
                <X size={12} aria-hidden />
              </button>
            </li>
          ))}
        </ul>
      )}
      <div className="flex items-end gap-1.5">
        {attachments && (
          <>
            <button
              type="button"
              aria-label={t("attach")}
              onClick={() => picker.current?.click()}
              className="grid size-8 shrink-0 place-items-center rounded-md text-ink-2 hover:bg-raised hover:text-ink"
            >
              <Paperclip size={16} aria-hidden />
            </button>
            <input
              ref={picker}
              type="file"
              multiple
              hidden
              aria-label={t("attach")}
              onChange={(event) => {
                add([...(event.target.files ?? [])]);
                event.target.value = "";
              }}
            />
          </>
        )}
        <label htmlFor={id} className="sr-only">
          {label}
        </label>
        <textarea
          ref={field}
          id={id}
          rows={1}
          value={text}
          placeholder={label}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={onKey}
          onPaste={(event) => {
            if (attachments && event.clipboardData.files.length > 0) add([...event.clipboardData.files]);
          }}
          className="field-sizing-content max-h-60 min-h-8 min-w-0 flex-1 resize-none bg-transparent py-1.5 outline-none"
        />
        <button
          type="submit"
          aria-label={t("send")}
          aria-busy={busy || undefined}
          disabled={busy || disabled || text.trim() === ""}
          className="grid size-8 shrink-0 place-items-center rounded-md bg-accent text-accent-ink hover:brightness-110 disabled:opacity-50"
        >
          <Send size={16} aria-hidden />
        </button>
      </div>
      {problem !== "" && <InlineError error={problem} />}
    </form>
  );
}
