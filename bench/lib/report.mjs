// How numbers, tables and charts are written.

/** @param {number} value */
export const number = (value) => (value >= 100 ? value.toFixed(0) : value.toFixed(1));

/** @param {number | undefined} value */
export const ratio = (value) => value?.toFixed(2) ?? "";

/**
 * A table of Markdown.
 * @param {string[]} head
 * @param {(string | number)[][]} rows
 */
export const markdown = (head, rows) =>
  [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");

/**
 * Where and how something was measured.
 * @param {{ date: string, command: string, machine: ReturnType<typeof import("./machine.mjs").machine> }} of
 */
export const origin = ({ date, command, machine }) =>
  `${date.slice(0, 10)}, ${machine.processor}, ${machine.cores} cores, ${machine.memoryGib} GiB, \`${command}\``;

const WIDTH = 720;
const ROW = 22;
const LEFT = 210;

const escapeXml = (/** @type {string} */ text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

/**
 * Bars as an SVG that can be read on light and on dark.
 * @param {{ title: string, origin: string, unit: string, bars: { name: string, value: number, isOwn: boolean }[] }} of
 */
export function chart({ title, origin, unit, bars }) {
  const most = Math.max(...bars.map(({ value }) => value));
  const drawn = bars.map(({ name, value, isOwn }, i) => {
    const y = 44 + i * ROW;
    const width = (value / most) * (WIDTH - LEFT - 70);
    return `<text x="${LEFT - 8}" y="${y + 14}" text-anchor="end">${escapeXml(name)}</text>
<rect x="${LEFT}" y="${y + 3}" width="${width.toFixed(1)}" height="${ROW - 8}" rx="2" class="${isOwn ? "own" : "other"}"/>
<text x="${(LEFT + width + 6).toFixed(1)}" y="${y + 14}">${number(value)} ${escapeXml(unit)}</text>`;
  });
  const height = 44 + bars.length * ROW + 12;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escapeXml(title)}">
<style>text { font: 12px system-ui, sans-serif; fill: #24292f } .own { fill: #1a7f64 } .other { fill: #8c959f } @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .own { fill: #3fb893 } }</style>
<text x="8" y="18" font-weight="600">${escapeXml(title)}</text>
<text x="8" y="34" opacity=".7">${escapeXml(origin.replaceAll("`", ""))}</text>
${drawn.join("\n")}
</svg>
`;
}
