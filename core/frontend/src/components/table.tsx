import type { ReactNode } from "react";

export interface Column<T> {
  title: string;
  cell: (item: T) => ReactNode;
  /** Right-aligned figures. */
  number?: boolean;
  quiet?: boolean;
  /** Takes what room is left. */
  wide?: boolean;
}

/** Cells keep to one line and leave the room to the wide column; what is absurdly long is cut. */
const narrow = "md:max-w-80 md:overflow-clip md:text-ellipsis md:whitespace-nowrap md:[overflow-clip-margin:4px]";

/** A table that becomes a list of labelled values on a narrow screen, so that nothing scrolls sideways. */
export function Table<T>({ label, columns, items }: { label: string; columns: Column<T>[]; items: T[] }) {
  return (
    <table aria-label={label} className="block w-full md:table">
      <thead className="sr-only md:not-sr-only md:table-header-group">
        <tr className="border-b border-line">
          {columns.map((c) => (
            <th
              key={c.title}
              scope="col"
              className={`whitespace-nowrap px-3 py-2 text-sm font-normal text-ink-2 ${c.number ? "text-right" : "text-left"} ${c.wide ? "w-full" : ""}`}
            >
              {c.title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody className="block md:table-row-group">
        {items.map((item, i) => (
          <tr key={i} className="block border-b border-line px-3 py-2 last:border-b-0 md:table-row md:p-0">
            {columns.map((c) => (
              <td
                key={c.title}
                className={`flex justify-between gap-4 py-0.5 [overflow-wrap:anywhere] md:table-cell md:px-3 md:py-1.5 ${c.wide ? "" : narrow} ${c.number ? "num md:text-right" : ""} ${c.quiet ? "text-ink-2" : ""}`}
              >
                <span aria-hidden className="shrink-0 text-sm text-ink-2 md:hidden">
                  {c.title}
                </span>
                <span className="min-w-0 max-md:text-right md:contents">{c.cell(item)}</span>
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
