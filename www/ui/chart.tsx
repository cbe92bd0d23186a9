// Charts of requests by outcome: our own small SVG. Its parts are shares of its box, so that patterns keep their form.

import type { UsagePoint } from "../../types/admin-api.js";
import { number } from "../format.tsx";
import { type Column, Table, useUniqueId } from "./parts.tsx";

/** Reasons with a colour and pattern of their own; all others are one. */
const MOST_REASONS = 4;
/** In per cent of the height: what there is can be seen. */
const LEAST_HEIGHT = 2;

/** Lines over a colour, in a tile of 8 by 8: none for what was accepted. */
const PATTERNS = ["", "M0 8 8 0M-2 2 2-2M6 10 10 6", "M0 4h8", "M0 0 8 8M8 0 0 8", "M4 0v8", "M3 3h2v2H3z"];

interface BarsProps {
  /** From the left, each from the bottom. */
  columns: number[][];
  /** What the top is. */
  most: number;
  /** What each series is filled with, if not with its plain colour. */
  pattern?: (series: number) => string;
  /** What is said of each column. */
  titles?: string[];
}

function Bars({ columns, most, pattern, titles }: BarsProps) {
  const width = 100 / columns.length;
  const share = columns.length < 10 ? 0.4 : 0.76;
  return (
    <>
      {columns.map((values, index) => {
        let top = 100;
        return (
          <g key={index}>
            {titles && <title>{titles[index]}</title>}
            {titles && <rect class="hit" x={`${index * width}%`} width={`${width}%`} height="100%" />}
            {values.map((value, series) => {
              const height = value > 0 ? Math.max((value / (most || 1)) * 100, LEAST_HEIGHT) : 0;
              top -= height;
              return (
                height > 0 && (
                  <rect
                    key={series}
                    class={pattern ? undefined : `s${series}`}
                    fill={pattern?.(series)}
                    x={`${(index + (1 - share) / 2) * width}%`}
                    width={`${share * width}%`}
                    y={`${top}%`}
                    height={`${height}%`}
                  />
                )
              );
            })}
          </g>
        );
      })}
    </>
  );
}

export const sum = (values: number[]) => values.reduce((all, one) => all + one, 0);

/** What was accepted and refused in each of the last 24 hours, small enough for a row. */
export function Sparkline({ accepted, refused }: Record<"accepted" | "refused", number[]>) {
  const columns = accepted.map((count, hour) => [count, refused[hour] ?? 0]);
  const label = `Last 24 hours: ${number(sum(accepted))} accepted, ${number(sum(refused))} refused`;
  return (
    <svg class="spark" role="img" aria-label={label}>
      <title>{label}</title>
      <Bars columns={columns} most={Math.max(...columns.map(sum))} />
    </svg>
  );
}

const HOUR = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "numeric" });
// Days are the server's.
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone: "UTC" });

/** `RATE_LIMITED 3, IP_RESTRICTED 1`, the most frequent first. */
const byReason = (refused: UsagePoint["refused"]) =>
  Object.entries(refused)
    .sort(([, a], [, b]) => b - a)
    .map(([code, count]) => `${code} ${number(count)}`)
    .join(", ");

export const refusals = ({ refused }: UsagePoint) => sum(Object.values(refused));

interface ChartProps {
  /** What is counted: `Requests`. */
  what: string;
  points: UsagePoint[];
  byDay: boolean;
}

/** Requests by outcome as stacked bars, and the same numbers as a table. */
export function Chart({ what, points, byDay }: ChartProps) {
  const id = useUniqueId();
  const time = (point: UsagePoint) => (byDay ? DAY : HOUR).format(new Date(point.time));
  const codes = new Map<string, number>();
  for (const { refused } of points)
    for (const [code, count] of Object.entries(refused)) codes.set(code, (codes.get(code) ?? 0) + count);
  const found = [...codes.keys()].sort((a, b) => (codes.get(b) ?? 0) - (codes.get(a) ?? 0));
  const others = found.splice(MOST_REASONS);
  const series: [string, (point: UsagePoint) => number][] = [
    ["Accepted", ({ accepted }) => accepted],
    ...found.map((code): [string, (point: UsagePoint) => number] => [code, ({ refused }) => refused[code] ?? 0]),
    ["Other reasons", ({ refused }) => sum(others.map((code) => refused[code] ?? 0))],
  ];
  const columns = points.map((point) => series.map(([, count]) => count(point)));
  const highest = Math.max(...columns.map(sum));
  if (!(highest > 0)) return <p class="nothing faint">No {what.toLowerCase()} in this time.</p>;
  const totals = series.map(([, count]) => sum(points.map(count)));
  const pattern = (index: number) => `url(#${id}-${index})`;
  const rows: Column<UsagePoint>[] = [
    { title: byDay ? "Day (UTC)" : "Hour", cell: time, narrow: "first" },
    { title: "Accepted", cell: ({ accepted }) => number(accepted) },
    { title: "Refused", cell: (point) => number(refusals(point)) },
    { title: "Why", cell: ({ refused }) => byReason(refused) },
  ];
  return (
    <div class="chart">
      <ul class="legend">
        {series.map(
          ([name], index) =>
            totals[index] > 0 && (
              <li key={name}>
                <svg aria-hidden="true">
                  <rect fill={pattern(index)} width="100%" height="100%" />
                </svg>
                {name} <strong>{number(totals[index])}</strong>
              </li>
            ),
        )}
      </ul>
      <svg
        class="bars"
        role="img"
        aria-label={`${what}: ${series.flatMap(([name], index) => (totals[index] > 0 ? `${name} ${number(totals[index])}` : [])).join(", ")}`}
      >
        <defs>
          {series.map(([name], index) => (
            <pattern key={name} id={`${id}-${index}`} width="8" height="8" patternUnits="userSpaceOnUse">
              <rect class={`s${index}`} width="8" height="8" />
              <path d={PATTERNS[index]} />
            </pattern>
          ))}
        </defs>
        <Bars
          columns={columns}
          most={highest}
          pattern={pattern}
          titles={points.map((point) =>
            [`${time(point)}: ${number(point.accepted)} accepted`, byReason(point.refused)].filter(Boolean).join(", "),
          )}
        />
      </svg>
      <div class="axis">
        <span>{time(points[0])}</span>
        <span>Highest: {number(highest)}</span>
        <span>{time(points.at(-1) ?? points[0])}</span>
      </div>
      <details>
        <summary>As a table</summary>
        <Table
          caption={what}
          columns={rows}
          rows={points.filter((point) => point.accepted + refusals(point) > 0).reverse()}
          keyOf={(point) => point.time}
          testId="usage-row"
        />
      </details>
    </div>
  );
}
