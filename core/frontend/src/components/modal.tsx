import { X } from "lucide-react";
import { Dialog } from "radix-ui";
import type { ReactNode } from "react";
import { useTranslations } from "use-intl";

/** A dialog that is open as long as it is rendered. Escape and a click beside it close it, unless `firm`. */
export function Modal({
  title,
  close,
  children,
  firm = false,
}: {
  title: string;
  close: () => void;
  children: ReactNode;
  firm?: boolean;
}) {
  const t = useTranslations("common");
  const stay = (event: Event) => firm && event.preventDefault();
  return (
    <Dialog.Root open onOpenChange={(open) => !open && close()}>
      <Dialog.Portal>
        <Dialog.Overlay className="fixed inset-0 z-40 bg-black/40" />
        <Dialog.Content
          aria-describedby={undefined}
          onEscapeKeyDown={stay}
          onInteractOutside={stay}
          className="fixed left-1/2 top-[10vh] z-50 flex max-h-[80vh] w-[min(480px,calc(100vw-28px))] -translate-x-1/2 flex-col gap-3.5 overflow-y-auto rounded-lg border border-line bg-surface p-4"
        >
          <div className="flex items-start justify-between gap-3">
            <Dialog.Title className="text-lg font-semibold [overflow-wrap:anywhere]">{title}</Dialog.Title>
            <Dialog.Close aria-label={t("close")} className="rounded p-1.5 text-ink-2 hover:bg-raised">
              <X size={14} aria-hidden />
            </Dialog.Close>
          </div>
          {children}
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
