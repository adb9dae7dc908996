import { type InputHTMLAttributes, type ReactNode, type TextareaHTMLAttributes, useId } from "react";

const box =
  "w-full rounded-md border border-line bg-surface px-2.5 py-1.5 text-ink aria-invalid:border-bad disabled:opacity-60";

interface Label {
  label: string;
  hint?: ReactNode;
  error?: string;
}

function Shell({ id, label, hint, error, children }: Label & { id: string; children: ReactNode }) {
  return (
    <div className="flex flex-col gap-1">
      <label htmlFor={id} className="text-sm font-semibold">
        {label}
      </label>
      {children}
      {hint && (
        <p id={`${id}-hint`} className="text-sm text-ink-2">
          {hint}
        </p>
      )}
      {error && (
        <p id={`${id}-error`} role="alert" className="text-sm text-bad">
          {error}
        </p>
      )}
    </div>
  );
}

const describedBy = (id: string, hint?: ReactNode, error?: string) =>
  [hint ? `${id}-hint` : "", error ? `${id}-error` : ""].filter(Boolean).join(" ") || undefined;

export function Input({ label, hint, error, ...rest }: Label & InputHTMLAttributes<HTMLInputElement>) {
  const id = useId();
  return (
    <Shell id={id} label={label} hint={hint} error={error}>
      <input
        {...rest}
        id={id}
        className={box}
        aria-invalid={error ? true : undefined}
        aria-describedby={describedBy(id, hint, error)}
      />
    </Shell>
  );
}

export function TextArea({ label, hint, error, ...rest }: Label & TextareaHTMLAttributes<HTMLTextAreaElement>) {
  const id = useId();
  return (
    <Shell id={id} label={label} hint={hint} error={error}>
      <textarea
        {...rest}
        id={id}
        className={`${box} ${rest.className ?? ""}`}
        aria-invalid={error ? true : undefined}
        aria-describedby={describedBy(id, hint, error)}
      />
    </Shell>
  );
}

interface SelectProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
  options: { value: string; text: string }[];
  /** The label is read, not shown: where the options speak for themselves. */
  hideLabel?: boolean;
}

export function Select({ label, value, onChange, options, hideLabel = false }: SelectProps) {
  const id = useId();
  return (
    <div className={hideLabel ? "min-w-0" : "flex flex-col gap-1"}>
      <label htmlFor={id} className={hideLabel ? "sr-only" : "text-sm font-semibold"}>
        {label}
      </label>
      <select
        id={id}
        value={value}
        onChange={(e) => onChange(e.target.value)}
        className="min-h-8 max-w-full rounded-md border border-line bg-surface px-2 py-1 text-sm"
      >
        {options.map((o) => (
          <option key={o.value} value={o.value}>
            {o.text}
          </option>
        ))}
      </select>
    </div>
  );
}
