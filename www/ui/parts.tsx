// Small pieces that several screens show.

import { type ComponentChildren, Fragment, type JSX, type PartialAnchorHTMLAttributes } from "preact";

import { useState } from "preact/hooks";

import type { ApiKey, Tenant } from "../../types/admin-api.js";
import { Problem } from "../api.ts";
import { Wait } from "./deadline.tsx";

let lastId = 0;

/** An id that no other element has. Preact's own are so within one tree only, and each dialog is one. */
export function uniqueId() {
  lastId += 1;
  return `id-${lastId}`;
}

export const useUniqueId = () => useState(uniqueId)[0];

let announced: ReturnType<typeof setTimeout> | undefined;

/** Says something in passing, to eyes and screen readers. For what must not be missed use an alert. */
export function announce(text: string) {
  const region = document.getElementById("status");
  clearTimeout(announced);
  const line = document.createElement("p");
  line.textContent = text;
  region?.replaceChildren(line);
  announced = setTimeout(() => region?.replaceChildren(), 6000);
}

type ButtonProps = Omit<JSX.IntrinsicElements["button"], "type" | "onClick"> & { onClick: () => unknown };

/** A button that submits nothing. */
export const Button = ({ onClick, ...props }: ButtonProps) => (
  <button type="button" onClick={() => void onClick()} {...props} />
);

type LinkProps = Omit<PartialAnchorHTMLAttributes<HTMLAnchorElement>, "href" | "role"> & { to: string };

/** A link to a screen of the page. */
export const Link = ({ to, ...props }: LinkProps) => <a href={`#${to}`} {...props} />;

/** The heading of a screen; it gets the focus when the screen is shown, unless another part asks for it. */
export const Heading = ({ children }: { children: ComponentChildren }) => <h1 tabIndex={-1}>{children}</h1>;

/** A heading, with what can be done beside it. */
export const TitleBar = ({ title, under, children }: Record<"title" | "under" | "children", ComponentChildren>) => (
  <div class="title">
    <div>
      <Heading>{title}</Heading>
      {under}
    </div>
    {children && <div class="actions">{children}</div>}
  </div>
);

/** Where a screen belongs. */
export const Crumbs = ({ children }: { children: ComponentChildren }) => <p class="crumbs">{children}</p>;

const STATUS_TEXT: Record<string, string> = {
  ACTIVE: "Active",
  PAUSED: "Paused",
  REVOKED: "Revoked",
  EXPIRED: "Expired",
  INACTIVE: "Inactive",
};

/** `Active`, in words and colour. */
export const StatusBadge = ({ of: { status } }: { of: Pick<ApiKey | Tenant, "status"> }) => (
  <span class={`badge ${status.toLowerCase()}`}>{STATUS_TEXT[status] ?? status}</span>
);

export const Badge = ({ children }: { children: ComponentChildren }) => <span class="badge">{children}</span>;

/** Scopes, at most this many of them; wildcards stand out. */
export function Scopes({ scopes, most = Number.POSITIVE_INFINITY }: { scopes: string[]; most?: number }) {
  const rest = scopes.slice(most);
  return (
    <div class="chips">
      {scopes.slice(0, most).map((scope) => (
        <code key={scope} class={scope.endsWith("*") ? "chip wide" : "chip"}>
          {scope}
        </code>
      ))}
      {rest.length > 0 && (
        <span class="chip" title={rest.join(", ")}>
          +{rest.length}
        </span>
      )}
    </div>
  );
}

/** A list of terms and what they are, of `Fact`s. */
export const Facts = ({ children }: { children: ComponentChildren }) => <dl class="facts">{children}</dl>;

export const Fact = ({ term, children }: { term: string; children: ComponentChildren }) => (
  <div>
    <dt>{term}</dt>
    <dd>{children}</dd>
  </div>
);

export interface Column<Row> {
  title: string;
  cell: (row: Row) => ComponentChildren;
  /** Where there is no room: the row's first line, at its end, left out where it says nothing, or left out. */
  narrow?: "first" | "end" | "brief" | "hidden";
  /** How the list is asked to be sorted by it: upwards, downwards. */
  sort?: readonly [up: string, down: string];
}

interface TableProps<Row> {
  caption: string;
  columns: Column<Row>[];
  rows: Row[];
  keyOf: (row: Row) => string | number;
  testId: string;
  rowClass?: (row: Row) => string | false;
  /** What stands below a row that is open. */
  below?: (row: Row) => ComponentChildren;
  isBusy?: boolean;
  sorted?: string;
  onSort?: (sort: string) => void;
}

/**
 * A table whose rows become cards where there is no room. The roles keep it a table for screen readers when style says
 * that its parts are blocks.
 */
export function Table<Row>(props: TableProps<Row>) {
  const { caption, columns, rows, keyOf, testId, rowClass, below, isBusy, sorted = "", onSort } = props;
  return (
    // biome-ignore-start lint/a11y/noRedundantRoles: see above
    <table role="table" class="cards" aria-busy={isBusy || undefined}>
      <caption class="unseen">{caption}</caption>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map(({ title, sort }) => {
            const way = sort?.indexOf(sorted) ?? -1;
            // First the way that has a name without a sign; then the other one.
            const other = sort?.[way < 0 ? Number(sort[0].startsWith("-")) : 1 - way];
            return (
              <th key={title} role="columnheader" scope="col" aria-sort={(["ascending", "descending"] as const)[way]}>
                {other ? (
                  <Button class="sort" onClick={() => onSort?.(other)}>
                    {title}
                  </Button>
                ) : (
                  title
                )}
              </th>
            );
          })}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row) => {
          const more = below?.(row);
          return (
            <Fragment key={keyOf(row)}>
              <tr role="row" data-testid={testId} class={rowClass?.(row) || undefined}>
                {columns.map(({ title, cell, narrow }) => (
                  <td key={title} role="cell" data-label={title} class={narrow}>
                    {cell(row)}
                  </td>
                ))}
              </tr>
              {more && (
                <tr role="row" data-testid={`${testId}-below`}>
                  <td role="cell" class="below" colSpan={columns.length}>
                    {more}
                  </td>
                </tr>
              )}
            </Fragment>
          );
        })}
      </tbody>
    </table>
    // biome-ignore-end lint/a11y/noRedundantRoles: see above
  );
}

/** A region in which problems of a form or screen appear. */
export const Alerts = ({ children }: { children?: ComponentChildren }) => (
  <div role="alert" class="alerts" data-testid="alert">
    {children}
  </div>
);

/** A problem in words. With `retry`, offers to try again where that may help. */
export function ProblemText({ problem, retry }: { problem: unknown; retry?: () => unknown }) {
  if (!(problem instanceof Problem)) {
    // biome-ignore lint/suspicious/noConsole: a mistake of the page itself. Whoever mends it needs the trace.
    console.error(problem);
    return (
      <div class="alert">
        <p>The page made a mistake. Reload it and try again.</p>
      </div>
    );
  }
  const { code, requestId, retryAfter, passing } = problem;
  const facts = [
    code && `Code ${code}`,
    requestId && `request ${requestId}`,
    passing && !retryAfter && "try again in a moment",
  ].filter(Boolean);
  return (
    <div class="alert">
      <p>{problem.message}</p>
      {retryAfter && <Wait key={requestId} seconds={retryAfter} />}
      {facts.length > 0 && <p class="faint">{facts.join(" · ")}</p>}
      {retry && passing && (
        <Button class="small" onClick={retry}>
          Try again
        </Button>
      )}
    </div>
  );
}

/** Loads the next page. When that is the last one, the focus goes to the first row that is new. */
export function More({ more, rows }: { more: () => Promise<void>; rows: string }) {
  async function load() {
    const before = document.querySelectorAll(rows).length;
    await more();
    setTimeout(() => {
      if (document.activeElement === document.body)
        document.querySelectorAll(rows)[before]?.querySelector("a")?.focus();
    });
  }
  return (
    <p class="more">
      <Button onClick={load}>Load more</Button>
    </p>
  );
}
