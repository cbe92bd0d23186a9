// The icons of the rail: lines of 1.5, in a square of 20.

const PATHS = {
  overview: "M3 3h6v8H3zM11 3h6v4h-6zM11 9h6v8h-6zM3 13h6v4H3z",
  keys: "M12.5 10.5a4 4 0 1 0-3.6-2.3L3 14.1V17h3v-2h2v-2h1.5l1.6-1.6c.4.1.9.1 1.4.1zM13.5 6.5h.01",
  routes: "M5 7a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM15 17a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM7 5h6a3 3 0 0 1 0 5H7a3 3 0 0 0 0 5h6",
  audit: "M5 3h7l3 3v11H5zM8 8h4M8 11h4M8 14h3",
  people:
    "M7.5 9.5a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM2 17v-1a4 4 0 0 1 4-4h3a4 4 0 0 1 4 4v1M13 4a3 3 0 0 1 0 5.5M15 12.4a4 4 0 0 1 3 3.6v1",
  tenants: "M3 17V6l7-3 7 3v11zM7 17v-4h6v4M7 9h.01M10 9h.01M13 9h.01",
  settings: "M3 6h8M15 6h2M3 14h2M9 14h8M13 8a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM7 16a2 2 0 1 0 0-4 2 2 0 0 0 0 4z",
  search: "M9 15A6 6 0 1 0 9 3a6 6 0 0 0 0 12zM13.5 13.5 17 17",
} as const;

export type IconName = keyof typeof PATHS;

export const Icon = ({ name }: { name: IconName }) => (
  <svg class="icon" viewBox="0 0 20 20" aria-hidden="true">
    <path d={PATHS[name]} />
  </svg>
);
