// The rail: the screens that whoever is signed in may see. On a phone it is a bar at the bottom.

import { mayManagePeople, mayManageTenants, member } from "../session.ts";
import { Icon } from "./icons.tsx";
import { openPalette, type Place } from "./palette.tsx";
import { Button, Link } from "./parts.tsx";

/** What stands in the rail for this member. */
export const places = (): Place[] => [
  { path: "/overview", title: "Overview", icon: "overview" },
  { path: "/keys", title: "Keys", icon: "keys" },
  { path: "/routes", title: "Routes", icon: "routes" },
  { path: "/audit", title: "Audit", icon: "audit" },
  ...(mayManagePeople() ? [{ path: "/members", title: "People", icon: "people" } as const] : []),
  ...(mayManageTenants() ? [{ path: "/tenants", title: "Tenants", icon: "tenants" } as const] : []),
];

interface RailProps {
  /** Of the screen that is shown. */
  path: string;
  signOut: () => Promise<void>;
}

export function Rail({ path, signOut }: RailProps) {
  const current = `/${path.split(/[/?]/)[1]}`;
  const email = member?.email ?? "";
  return (
    <header class="rail">
      <Link class="brand" to="/overview">
        <img src="./icon.svg" alt="" width="24" height="24" />
        Keyward
      </Link>
      <Button class="find" aria-keyshortcuts="Control+K Meta+K" onClick={() => openPalette(places())}>
        <Icon name="search" />
        <span>Find</span>
        <kbd>{/Mac|iP(hone|ad)/.test(navigator.userAgent) ? "⌘K" : "Ctrl K"}</kbd>
      </Button>
      <nav aria-label="Main">
        {places().map((place) => (
          <RailLink key={place.path} place={place} isCurrent={place.path === current} />
        ))}
        <RailLink
          place={{ path: "/settings", title: "Settings", icon: "settings" }}
          isCurrent={current === "/settings"}
        />
      </nav>
      <div class="who">
        <Link to="/settings" title={`${email}: your account`}>
          <bdi>{email}</bdi>
        </Link>
        <span class="badge">{member?.role}</span>
        <Button class="small" onClick={signOut}>
          Sign out
        </Button>
      </div>
    </header>
  );
}

const RailLink = ({ place: { path, title, icon }, isCurrent }: { place: Place; isCurrent: boolean }) => (
  <Link to={path} aria-current={isCurrent ? "page" : undefined}>
    <Icon name={icon} />
    {title}
  </Link>
);
